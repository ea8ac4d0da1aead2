//! What the documents name is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::checkout;

/// Every document for people: those at the top level, in `docs/`, and of decisions.
fn documents() -> Vec<PathBuf> {
    let folders = [checkout().to_path_buf(), checkout().join("docs"), checkout().join("docs/decisions")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let documents: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    assert!(documents.len() > 10, "{documents:?}");
    documents
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a document")
}

/// The texts between `before` and the next `after`.
fn between<'a>(text: &'a str, before: &'a str, after: char) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
}

#[test]
fn every_link_in_a_document_leads_to_a_file() {
    for document in documents() {
        let text = read(&document);
        let targets = between(&text, "](", ')').chain(between(&text, "src=\"", '"'));
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap_or(target);
            let there = document.parent().expect("a folder").join(file).exists();
            assert!(there, "{} links to {target}, which does not exist", document.display());
        }
    }
}

#[test]
fn every_path_in_the_checklists_and_the_map_exists() {
    const TOP: [&str; 5] = ["src/", "docs/", "tests/", "tools/", "events/"];

    for name in ["docs/adding.md", "docs/design.md"] {
        let text = read(&checkout().join(name));
        let quoted = text.split('`').skip(1).step_by(2);
        let paths: Vec<&str> =
            quoted.filter(|quoted| TOP.iter().any(|top| quoted.starts_with(top))).collect();
        assert!(paths.len() > 10, "{name}: {paths:?}");
        for path in paths {
            assert!(checkout().join(path).exists(), "{name} names {path}, which does not exist");
        }
    }
}

#[test]
fn the_contract_imports_neither_rules_nor_reports() {
    const BELOW: [&str; 7] = ["command_line", "evidence", "gap", "incident", "network", "words", "contract"];

    let folder = checkout().join("src/contract");
    let files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let text = read(&file);
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for path in line.split("crate::").skip(1) {
                assert!(BELOW.iter().any(|below| path.starts_with(below)), "{}: {line}", file.display());
            }
        }
    }
}

#[test]
fn every_variable_of_the_function_is_documented() {
    let documented = read(&checkout().join("docs/configuration.md"));
    let config = read(&checkout().join("src/config.rs"));
    let names = config.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let mut names: Vec<&str> = names.filter(|name| name.starts_with("NAT_TRIAGE_")).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(documented.contains(&format!("| `{name}` |")), "docs/configuration.md lacks {name}");
    }
}

/// The Rust files below a folder of the repository.
fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// As `docs/development.md` promises: a name that is longer is not read.
#[test]
fn no_name_of_a_test_is_longer_than_60_characters() {
    const MAX_NAME: usize = 60;

    let mut files = Vec::new();
    for folder in ["src", "tests", "tools", "benches", "fuzz/fuzz_targets"] {
        rust_files(&checkout().join(folder), &mut files);
    }
    for file in files {
        let text = read(&file);
        let functions =
            text.lines().filter_map(|line| line.split_once("fn ")?.1.split_once('(')).map(|(name, _)| name);
        for name in functions {
            assert!(name.len() <= MAX_NAME || name.contains(' '), "{}: {name}", file.display());
        }
    }
}

#[test]
fn every_message_in_troubleshooting_is_one_of_the_program() {
    let mut files = Vec::new();
    rust_files(&checkout().join("src"), &mut files);
    let source: String = files.iter().map(|file| read(file)).collect();
    let page = read(&checkout().join("docs/troubleshooting.md"));
    let messages: Vec<&str> = between(&page, "\n### `", '`').collect();
    assert!(messages.len() > 10, "{messages:?}");
    for message in messages {
        assert!(source.contains(message), "the program says nowhere: {message}");
    }
}
