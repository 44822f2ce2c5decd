//! The programs that are measured: built, and found. Changes when another one is.

use anyhow::{Context, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the project's own programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    pub tg_cli: PathBuf,
    pub floor: PathBuf,
}

/// The part of cargo's messages that is read.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    target: Option<Target>,
    #[serde(default)]
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds them, optimised, and says where they are.
///
/// # Errors
/// They do not build.
pub fn build() -> anyhow::Result<Programs> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "-q", "--message-format=json-render-diagnostics"])
        .args(["-p", "tg-cli", "-p", "bench", "--bin", "tg-cli", "--bin", "floor", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    if !output.status.success() {
        bail!("cargo could not build the programs to measure");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let find = |name: &str| executable(&messages, name).with_context(|| format!("cargo does not say where {name} is"));
    Ok(Programs { tg_cli: find("tg-cli")?, floor: find("floor")? })
}

fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|m| m.reason == "compiler-artifact" && m.target.as_ref().is_some_and(|t| t.name == name))
        .find_map(|m| m.executable)
}

/// A program that somebody has installed.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_in_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"tg-cli"},"executable":null}
{"reason":"build-script-executed","package_id":"x"}
no JSON at all
{"reason":"compiler-artifact","target":{"name":"floor"},"executable":"/t/release/floor"}
{"reason":"compiler-artifact","target":{"name":"tg-cli"},"executable":"/t/release/tg-cli"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "tg-cli"), Some("/t/release/tg-cli".into()));
        assert_eq!(executable(messages, "floor"), Some("/t/release/floor".into()));
        assert_eq!(executable(messages, "other"), None);
    }

    #[test]
    fn a_shell_is_on_the_path() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-such-program-anywhere").is_none());
    }
}
