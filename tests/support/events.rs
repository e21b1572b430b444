//! Event lines.
use super::gateway::Gateway;
use super::wait::wait_for;
use serde_json::Value;

impl Gateway {
    /// Every event line that is complete, as text.
    pub(crate) fn event_lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.events_file()).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// The event lines that hold a text.
    pub(crate) fn events_with(&self, text: &str) -> Vec<Value> {
        let lines = self.event_lines();
        let with = lines.iter().filter(|line| line.contains(text));
        with.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// The one event of a request; waits until it is written.
    #[track_caller]
    pub(crate) fn event(&self, request_id: &str) -> Value {
        let what = format!("the event of {request_id}");
        let mut found = wait_for(&what, || Some(self.events_with(request_id)).filter(|e| !e.is_empty()));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}
