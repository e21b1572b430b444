//! A demo: everything the program brings along, as its users first meet it.
use super::actor::Actor;
use super::process::{Folder, spawn};
use super::wait::DEADLINE;
use serde_json::Value;
use std::fs::File;
use std::process::Child;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A running demo.
pub(crate) struct Demo {
    pub(crate) folder: Rc<Folder>,
    /// What `--json` wrote.
    pub(crate) told: Value,
    pub(crate) started_in: Duration,
    process: Child,
}

impl Demo {
    pub(crate) fn start() -> Demo {
        Demo::in_folder(Rc::new(Folder::new()))
    }

    /// Ends it, and starts another in the same folder.
    pub(crate) fn restart(self) -> Demo {
        let folder = Rc::clone(&self.folder);
        drop(self);
        Demo::in_folder(folder)
    }

    fn in_folder(folder: Rc<Folder>) -> Demo {
        let json = folder.file("demo.json");
        let _ = std::fs::remove_file(&json);
        let log = |name: &str| File::create(folder.file(name)).expect("the folder takes files");
        let data = folder.file("data");
        let words = ["demo", "--data", &data, "--gateway", "127.0.0.1:0", "--gateway-tls"];
        let words = words.into_iter().chain(["127.0.0.1:0", "--json", &json]).map(str::to_owned).collect();
        let started = Instant::now();
        let mut process = spawn(&[], words, Vec::new(), log("stdout.log"), log("stderr.log"));
        let told = loop {
            let read = std::fs::read(&json).ok().and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(told) = read {
                break told;
            }
            let ended = process.try_wait().expect("a child");
            let text = |name: &str| std::fs::read_to_string(folder.file(name)).unwrap_or_default();
            let late = started.elapsed() > DEADLINE;
            assert!(ended.is_none() && !late, "no demo ({ended:?}): {}", text("stderr.log"));
            std::thread::sleep(Duration::from_millis(2));
        };
        Demo { folder, told, started_in: started.elapsed(), process }
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.told[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.told))
    }

    /// Its folder, as commands take it.
    pub(crate) fn data(&self) -> String {
        self.folder.file("data")
    }

    /// Its event lines.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(format!("{}/events.jsonl", self.data())).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// A credential of this kind and dialect in this environment.
    pub(crate) fn actor(&self, environment: &str, kind: &str, dialect: &str) -> Actor {
        let list = |key: &str| self.told[key].as_array().cloned().unwrap_or_default();
        let workspaces = list("workspaces");
        let of = |row: &Value| {
            workspaces.iter().any(|w| w["id"] == row["workspace"] && w["environment"] == environment)
        };
        let found =
            list("credentials").into_iter().find(|c| of(c) && c["kind"] == kind && c["dialect"] == dialect);
        let found = found.unwrap_or_else(|| panic!("no {environment} {kind} {dialect}: {}", self.told));
        Actor::from_row(&found)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.file("stderr.log")).unwrap_or_default()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the demo's log:\n{}", self.log());
        } else {
            assert!(!self.log().contains("panicked at"), "{}", self.log());
        }
    }
}
