//! What `doorward sign` and `doorward explain` share: whose way of signing, and secrets from files.
use super::usage::usage;
use crate::Failure;
use crate::cli::{Names, SchemeChoice};
use doorward_core::dialect::SigningForm;
use doorward_core::schemes::escher::{Config, Flavour, SigningSecret};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Most bytes of a file with a secret: more than any has.
const MAX_SECRET_FILE_BYTES: u64 = 4096;

/// Standard input, as files are named.
pub(super) fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// Reads all of a file, or of standard input.
///
/// # Errors
/// What the system says, with the file's name.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    read_some(file, u64::MAX)
}

/// Reads a file, or standard input, up to so many bytes.
///
/// # Errors
/// As [`read`].
pub(super) fn read_some(file: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if is_stdin(file) {
        io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|f| f.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(bytes)
}

/// Reads a secret; the end of its line does not belong to it.
///
/// # Errors
/// That the file can't be read, or holds no secret. What it holds is not told.
pub(super) fn secret(file: &Path) -> Result<SigningSecret, Failure> {
    let bytes = read_some(file, MAX_SECRET_FILE_BYTES + 1)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(format!("{}: there is no secret in it", file.display()).into());
    }
    if bytes.len() as u64 > MAX_SECRET_FILE_BYTES {
        let file = file.display();
        return Err(format!("{file}: a secret has at most {MAX_SECRET_FILE_BYTES} bytes").into());
    }
    if line.contains(&b'\n') {
        return Err(format!("{}: a secret is one line, and there are more in it", file.display()).into());
    }
    Ok(SigningSecret::new(line))
}

/// Whose way of signing the command line names. Names that are no use end the process.
pub(super) fn config(names: &Names) -> Config {
    let own = [
        ("--prefix", &names.prefix),
        ("--vendor", &names.vendor),
        ("--auth-header", &names.auth_header),
        ("--date-header", &names.date_header),
    ];
    let form = match names.scheme {
        SchemeChoice::Antavo => SigningForm::Antavo,
        SchemeChoice::Aws4 => SigningForm::Aws4,
        SchemeChoice::Avanan => {
            usage("avanan's signatures are joined without canonical form; see docs/compat/avanan.md")
        }
        SchemeChoice::Escher => return own_names(names),
    };
    if let Some((option, _)) = own.iter().find(|(_, given)| given.is_some()) {
        usage(format_args!("{option} is for --scheme escher; the others have their names already"));
    }
    let scope = names.scope.clone().unwrap_or_else(|| form.default_scope(None));
    form.config(&scope).unwrap_or_else(|e| usage(e))
}

fn own_names(names: &Names) -> Config {
    let (Some(prefix), Some(vendor), Some(scope)) = (&names.prefix, &names.vendor, &names.scope) else {
        usage("--scheme escher needs --prefix, --vendor and --scope");
    };
    let field = |given: &Option<String>, end: &str| given.clone().unwrap_or(format!("X-{vendor}-{end}"));
    let auth = field(&names.auth_header, "Auth");
    let date = field(&names.date_header, "Date");
    Config::new(Flavour::Escher, prefix, vendor, &auth, &date, scope).unwrap_or_else(|e| usage(e))
}
