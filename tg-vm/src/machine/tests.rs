//! Tests of `machine`: what is pure in it. A boot is tested in `tests/boot`.

use super::*;
use proptest::prelude::*;
use std::process::Command;

fn job<'a>(command: &'a [OsString], output: Option<&'a Path>) -> Job<'a> {
    Job {
        command,
        directory: Path::new("/a b"),
        output,
        memory_mib: 512,
        processors: 1,
        timeout: Duration::from_secs(1),
        realtime: false,
    }
}

#[test]
fn the_job_is_a_shell_script() {
    let command = ["echo".into(), "it's".into()];
    let script = script(Path::new("/m"), &job(&command, Some(Path::new("/o"))));
    assert_eq!(String::from_utf8(script).unwrap(), "modules='/m'\noutput=1\nset -- '/a b' 'echo' 'it'\\''s'\n");
}

#[test]
fn a_comma_in_a_path_is_no_end_of_an_option() {
    assert_eq!(with_path("path=", Path::new("/a,b,,c")), "path=/a,,b,,,,c");
}

#[test]
fn the_output_is_shared_only_when_there_is_one() {
    let files = Files::new(Path::new("/t"));
    let has = |output: Option<&Path>| {
        let all = arguments(Path::new("/k"), &job(&[], output), output, &files);
        all.iter().any(|argument| argument.to_string_lossy().contains("id=output"))
    };
    assert!(has(Some(Path::new("/o"))));
    assert!(!has(None));
}

#[test]
fn the_consoles_end_is_told() {
    let console: String = (0..70).map(|n| format!("line {n}\r\n\r\n")).collect();
    let told = last_lines(console.as_bytes());
    assert!(told.starts_with("line 10\nline 11\n") && told.ends_with("\nline 69"), "{told}");
    assert_eq!(last_lines(b""), "");
}

/// A stream that nobody reads any more.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_guest_is_heard_to_its_end_though_nobody_listens() {
    let (done, silent) = mpsc::channel();
    let mut rest: &[u8] = &[7; 100_000];
    pass_on(Some(&mut rest), &mut Closed, &done);
    assert!(rest.is_empty());
    assert_eq!(silent.try_recv(), Ok(()));
}

proptest! {
    /// A shell makes the same words of it.
    #[test]
    fn a_shell_reads_each_word_as_it_was(bytes in proptest::collection::vec(1..=255_u8, 0..40)) {
        let word = OsString::from_vec(bytes.clone());
        let mut command = b"printf %s ".to_vec();
        command.extend(quoted(&word));
        let output = Command::new("sh").arg("-c").arg(OsString::from_vec(command)).output().unwrap();
        prop_assert_eq!(output.stdout, bytes);
    }
}
