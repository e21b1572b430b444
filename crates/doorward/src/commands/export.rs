//! `doorward export`.
use super::{ACTOR, print};
use crate::cli::{Output, Place};
use crate::{Failure, place};
use doorward_control::actions::policy;

pub(super) async fn run(place: &Place, output: Output) -> Result<(), Failure> {
    let opened = place::open(place).await?;
    let draft = policy::export(opened.desk(ACTOR)).await?;
    if output.json {
        return Ok(print::json(&draft)?);
    }
    Ok(print::line(draft.write().trim_end())?)
}
