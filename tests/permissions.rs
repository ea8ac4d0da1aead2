//! The list of AWS actions is what the code calls, what the documents say, and what the template grants.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nat_triage::permissions::{self, PERMISSIONS};

use crate::support::checkout;

/// Services whose actions a policy of ours can name.
const SERVICES: [&str; 15] = [
    "athena",
    "cloudtrail",
    "cloudwatch",
    "ec2",
    "events",
    "glue",
    "kms",
    "lambda",
    "logs",
    "route53resolver",
    "s3",
    "servicequotas",
    "sns",
    "sqs",
    "sts",
];

/// Every `service:Action` in a text, without what stands in an ARN or a resource type.
fn actions(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '-');
    text.split(word)
        .filter(|word| {
            word.split_once(':').is_some_and(|(service, action)| {
                SERVICES.contains(&service)
                    && action.starts_with(|c: char| c.is_ascii_uppercase())
                    && action.chars().all(|c| c.is_ascii_alphanumeric())
            })
        })
        .map(str::to_owned)
        .collect()
}

/// The actions that are listed. A pattern of actions, such as SNS's documentation asks for, by its beginning.
fn listed() -> BTreeSet<String> {
    PERMISSIONS.iter().map(|permission| permission.action.trim_end_matches('*').to_owned()).collect()
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn permissions_are_sorted_and_none_stands_twice() {
    let names: Vec<&str> = PERMISSIONS.iter().map(|permission| permission.action).collect();
    assert!(names.windows(2).all(|pair| pair[0] <= pair[1]), "{names:?}");
    // An action may be for several resources, of which each stands once.
    let pairs = PERMISSIONS.iter().map(|permission| (permission.action, permission.resource.words()));
    assert_eq!(pairs.collect::<BTreeSet<_>>().len(), PERMISSIONS.len());
}

#[test]
fn permissions_are_exactly_the_calls_of_the_code() {
    let mut files = Vec::new();
    sources(&checkout().join("src/aws"), &mut files);
    let mut called = BTreeSet::new();
    for file in files {
        let source = fs::read_to_string(&file).expect("text");
        // A call names its action in a constant; messages and tests may speak of others.
        let constants = source.lines().filter(|line| line.trim_start().starts_with("const "));
        called.extend(constants.flat_map(actions));
    }
    let ours = PERMISSIONS.iter().filter(|permission| permission.need.is_a_call());
    let ours: BTreeSet<String> = ours.map(|permission| permission.action.to_owned()).collect();
    assert_eq!(called, ours);
}

#[test]
fn permissions_are_exactly_what_the_template_grants() {
    let template = fs::read_to_string(checkout().join("template.yaml")).expect("text");
    // Comments may name other actions; who may assume the role is not a permission of it.
    let code: Vec<&str> = template.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let granted: BTreeSet<String> =
        actions(&code.join("\n")).into_iter().filter(|action| action != "sts:AssumeRole").collect();
    assert_eq!(granted, listed());
}

/// With `UPDATE_DOCS` set, what the repository holds is written anew.
#[test]
fn permissions_in_docs_are_those_of_the_code() {
    for (name, made) in
        [("permissions.json", permissions::as_json()), ("permissions.md", permissions::as_markdown())]
    {
        let path = checkout().join("docs").join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &made).expect("writable");
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, made, "docs/{name} is old: run UPDATE_DOCS=1 cargo test permissions");
    }
}
