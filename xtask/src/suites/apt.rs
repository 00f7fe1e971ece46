// SPDX-License-Identifier: MIT OR Apache-2.0
//! apt with lists, archives and sources of its own: it reads the machine's configuration, and
//! changes nothing on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::private_dir::PrivateDir;

/// The key of Debian's archive, which signs every suite.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Names of suites by which sources can name a Debian mirror, in contrast to other archives.
const DEBIAN_SUITES: [&str; 9] = [
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// apt for one suite, as if nothing were installed. Gone with its files when this is dropped.
#[derive(Debug)]
pub(super) struct PrivateApt {
    folder: PrivateDir,
}

impl PrivateApt {
    /// For the packages of `suite`, from the mirror that the machine's own sources name.
    pub(super) fn new(suite: &str) -> anyhow::Result<Self> {
        let mirror = mirror()?;
        let folder = PrivateDir::new().context("cannot make a temporary folder")?;
        let path = folder.path();
        for kept in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(path.join(kept))?;
        }
        let signed = if Path::new(KEYRING).is_file() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        fs::write(path.join("sources.list"), format!("deb {signed}{mirror} {suite} main\n"))?;
        fs::write(path.join("status"), "")?;
        fs::write(path.join("apt.conf"), configuration(path))?;
        Ok(Self { folder })
    }

    /// Downloads the suite's list of packages.
    pub(super) fn update(&self) -> anyhow::Result<()> {
        self.run("apt-get", &["--quiet", "--quiet", "--error-on=any", "update"]).map(drop)
    }

    /// The version of `package` that the suite has.
    pub(super) fn candidate(&self, package: &str) -> anyhow::Result<String> {
        let policy = self.run("apt-cache", &["policy", package])?;
        candidate(&policy).with_context(|| format!("the suite has no package {package}"))
    }

    /// Downloads `package` and all that it depends on; the value names the files, which stay until
    /// this is dropped.
    pub(super) fn download(&self, package: &str) -> anyhow::Result<Vec<PathBuf>> {
        self.run(
            "apt-get",
            &["--quiet", "--quiet", "--yes", "--download-only", "install", package],
        )?;
        let folder = self.folder.path().join("archives");
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let configuration = self.folder.path().join("apt.conf");
        let mut command = Command::new(program);
        command.arg("--config-file").arg(configuration).args(arguments);
        stdout_of(command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8"))
    }
}

/// The configuration in which this apt differs from the machine's. It runs none of the machine's
/// hooks, which are for the machine's state.
fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"Dir::State "{folder}";
Dir::State::Lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::State::extended_states "{folder}/extended_states";
Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/archives";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::Log "{folder}";
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures {{ "amd64"; }};
#clear APT::Default-Release;
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
"#
    )
}

/// The Debian mirror that the machine's own sources name.
fn mirror() -> anyhow::Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]);
    let targets = stdout_of(command.arg("Created-By: Packages"))?;
    mirror_among(&targets).context("the sources of this machine's apt name no Debian mirror")
}

/// The first of apt's targets that is the main component of a Debian suite.
fn mirror_among(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (uri, release, component) = (words.next()?, words.next()?, words.next()?);
        (DEBIAN_SUITES.contains(&release) && component == "main")
            .then(|| uri.trim_end_matches('/').to_owned())
    })
}

/// What `apt-cache policy` names as the candidate.
fn candidate(policy: &str) -> Option<String> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?.trim();
    (version != "(none)").then(|| version.to_owned())
}

/// What a command writes to standard output, if it succeeds.
pub(super) fn stdout_of(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_debian_and_of_no_other_archive() {
        let targets = "http://cloud.example/apt/ cloud-sdk-bookworm main\n\
                       http://security.example/ bookworm-security main\n\
                       http://mirror.example/debian/ bookworm contrib\n\
                       http://mirror.example/debian/ bookworm main\n\
                       http://other.example/debian/ trixie main\n";
        assert_eq!(mirror_among(targets).as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(mirror_among("http://a.example/ nodistro main\n"), None);
    }

    #[test]
    fn the_candidate_is_read() {
        let policy =
            "qemu-system-x86:\n  Installed: (none)\n  Candidate: 1:7.2+dfsg-7\n  Version table:\n";
        assert_eq!(candidate(policy).as_deref(), Some("1:7.2+dfsg-7"));
        assert_eq!(candidate("x:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }
}
