//! A folder for what a run writes, and the templates that are filled in there.

use crate::Outcome;
use crate::cargo::root;
use std::fs;
use std::path::PathBuf;

/// A folder of this run's own, removed at its end.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
}

impl Folder {
    pub(crate) fn create(path: PathBuf) -> Outcome<Folder> {
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Folder { path })
    }

    /// Fills in a template of the bench folder and puts it here.
    pub(crate) fn fill(&self, template: &str, values: &[(&str, &str)]) -> Outcome<PathBuf> {
        let source = root().join("bench").join(template);
        let text = fs::read_to_string(&source).map_err(|e| format!("{}: {e}", source.display()))?;
        let dir = self.path.display().to_string();
        let all = values.iter().copied().chain([("dir", dir.as_str())]);
        let filled = all.fold(text, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
        if let Some((_, rest)) = filled.split_once("{{") {
            let name = rest.split("}}").next().unwrap_or_default();
            return Err(format!("bench/{template}: nothing to put for {name}"));
        }
        self.write(template, &filled)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let file = self.path.join(name);
        fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
