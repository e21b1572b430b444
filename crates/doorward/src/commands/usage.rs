//! Words on the command line that are no use, found out after they were read.
use crate::cli::Cli;
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use std::fmt::Display;

/// Ends the process, as wrong words on the command line do.
pub(super) fn usage(why: impl Display) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, why).exit()
}
