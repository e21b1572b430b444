//! What this program answers by itself in the place of an upstream.
use doorward_core::decide::Refusal;
use doorward_core::reason::Reason;
use doorward_gateway::{Answering, Local, LocalRequest};
use std::future::ready;
use std::sync::Arc;

/// Nothing so far: whoever asks is told to come back later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nothing;

impl Local for Nothing {
    fn answer(self: Arc<Self>, _: LocalRequest) -> Answering {
        Box::pin(ready(Err(Refusal::new(Reason::Unavailable, "endpoint-not-served"))))
    }
}
