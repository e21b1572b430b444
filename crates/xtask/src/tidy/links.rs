//! Relative links in Markdown lead somewhere.

use super::File;
use std::path::{Component, Path};

pub(super) fn check(file: &File, exists: &dyn Fn(&str) -> bool, mistakes: &mut Vec<String>) {
    if !file.path.ends_with(".md") {
        return;
    }
    let mut fenced = false;
    for (number, line) in (1..).zip(file.text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            match resolve(&file.path, target) {
                Some(path) if exists(&path) => {}
                _ => mistakes.push(format!("{}:{number}: a link leads nowhere: {target}", file.path)),
            }
        }
    }
}

/// The relative targets of `[text](target)`; code spans are no links.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let prose = line.split('`').step_by(2);
    prose
        .flat_map(|prose| prose.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .map(|target| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
}

/// The path from the root that a link in `file` names; none if it leaves the repository.
fn resolve(file: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = Path::new(file).parent()?.iter().filter_map(|part| part.to_str()).collect();
    for component in Path::new(target).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> usize {
        let mut mistakes = Vec::new();
        let file = File { path: "docs/page.md".to_owned(), text: text.to_owned() };
        check(&file, &|path| ["README.md", "docs/other.md"].contains(&path), &mut mistakes);
        mistakes.len()
    }

    #[test]
    fn links_are_followed_from_their_own_page() {
        assert_eq!(mistakes("[a](other.md) [b](../README.md#use) [c](https://x.example/) [d](#here)\n"), 0);
        assert_eq!(mistakes("[a](missing.md)\n"), 1);
        assert_eq!(mistakes("[a](README.md) and [b](../../outside.md)\n"), 2);
        assert_eq!(mistakes("```\n[a](missing.md)\n```\n`[a](missing.md)`\n"), 0);
    }
}
