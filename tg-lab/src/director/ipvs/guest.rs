//! The command line that runs a lab in a virtual machine, for kernels without IPVS. Pure. Changes when tg-vm's
//! command line does, or how `lab` names its folder.

use std::path::Path;

/// Where the guest has the directory that tg-vm shares.
const SHARED: &str = "/out";

/// For a shell. `command`: as the lab was called. What it keeps is in the same directory as it would be here.
#[must_use]
pub fn in_guest(program: &Path, command: &[String]) -> String {
    let mut output = None;
    let mut words = vec![program.display().to_string()];
    let mut given = command.iter().skip(1);
    while let Some(word) = given.next() {
        let joined = word.strip_prefix("--output=").or_else(|| word.strip_prefix("-o").filter(|v| !v.is_empty()));
        match joined {
            Some(folder) => output = Some(folder.to_owned()),
            None if word == "--output" || word == "-o" => output = given.next().cloned(),
            None => words.push(word.clone()),
        }
    }
    if output.is_some() {
        words.extend(["--output", SHARED].map(str::to_owned));
    }
    let shared = output.map(|folder| format!("--output {} ", quoted(&folder))).unwrap_or_default();
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("cargo run -p tg-vm -- run {shared}-- {}", words.join(" "))
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=@:,%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_lab_with_its_folder_shared() {
        let of = |line: &[&str]| {
            let command: Vec<String> = line.iter().map(|w| (*w).to_owned()).collect();
            in_guest(Path::new("/x/tg-cli"), &command)
        };
        assert_eq!(
            of(&["tg-cli", "lab", "--director", "ipvs"]),
            "cargo run -p tg-vm -- run -- /x/tg-cli lab --director ipvs"
        );
        for output in [&["--output", "a b"][..], &["--output=a b"], &["-o", "a b"], &["-oa b"]] {
            assert_eq!(
                of(&[&["tg-cli", "lab"], output, &["--udp"]].concat()),
                "cargo run -p tg-vm -- run --output 'a b' -- /x/tg-cli lab --udp --output /out"
            );
        }
        assert!(of(&["tg-cli", "it's"]).ends_with(r"'it'\''s'"));
        assert!(of(&["tg-cli", "lab", "-o"]).ends_with("lab"), "no folder was given");
    }
}
