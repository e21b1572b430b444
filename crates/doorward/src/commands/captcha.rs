//! `doorward captcha ...`.
use super::{ACTOR, print, signing};
use crate::cli::{Captcha, Output};
use crate::{Failure, place};
use doorward_control::actions::captcha::{self, CaptchaView, CaptchaWanted};

pub(super) async fn run(command: Captcha) -> Result<(), Failure> {
    match command {
        Captcha::Set { of, provider, hostnames, secret_file } => {
            let secret = signing::secret(&secret_file)?;
            let opened = place::open(&of.place).await?;
            let wanted = CaptchaWanted { workspace: of.workspace, provider, hostnames, secret };
            told(&captcha::set(opened.desk(ACTOR), wanted).await?, of.output)
        }
        Captcha::Show(of) => {
            let opened = place::open(&of.place).await?;
            match captcha::show(opened.desk(ACTOR), &of.workspace).await? {
                Some(view) => told(&view, of.output),
                None => Err(none(&of.workspace)),
            }
        }
        Captcha::Remove(of) => {
            let opened = place::open(&of.place).await?;
            if !captcha::remove(opened.desk(ACTOR), &of.workspace).await? {
                return Err(none(&of.workspace));
            }
            if of.output.json {
                return Ok(print::json(&serde_json::json!({ "workspace": of.workspace, "removed": true }))?);
            }
            Ok(print::line(format_args!("no captcha of workspace `{}` is accepted any more", of.workspace))?)
        }
    }
}

fn none(workspace: &str) -> Failure {
    format!(
        "workspace `{workspace}` has nothing that its captchas are checked with; see `doorward captcha set`"
    )
    .into()
}

fn told(view: &CaptchaView, output: Output) -> Result<(), Failure> {
    if output.json {
        return Ok(print::json(view)?);
    }
    let CaptchaView { workspace, provider, hostnames, .. } = view;
    let hosts = hostnames.join(", ");
    Ok(print::line(format_args!("workspace `{workspace}`: {provider} checks captchas of pages of {hosts}"))?)
}
