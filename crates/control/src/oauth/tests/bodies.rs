//! Every error, in the words of each dialect.
use super::super::fault::{Fault, What};
use super::super::{Outcome, antavo, standard, vista, voucherify};
use doorward_core::reason::Reason;

/// One of each kind.
fn all() -> [Fault; 9] {
    [
        Fault::request("no-grant-type", "grant_type is missing"),
        Fault::client(Reason::CredentialInvalid, "wrong-client"),
        Fault::grant(Reason::CredentialInvalid, "wrong-password").after_s(Some(4)),
        Fault::unauthorized("plain-key"),
        Fault::grant_type("grant-type"),
        Fault::scope("scope-too-wide"),
        Fault::target("resource"),
        Fault::too_many(),
        Fault::away(Reason::Unavailable, "store-away"),
    ]
}

/// Status, the challenge and the time to wait where there are such, and the body.
fn told(outcome: Outcome) -> String {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(refusal) => return format!("{} by the API: {}", refusal.reason.status(), refusal.detail),
    };
    let field = |name: &str| answer.fields.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
    assert_eq!((field("cache-control"), field("pragma")), (Some("no-store"), Some("no-cache")));
    assert_eq!(answer.content_type, Some("application/json"));
    assert!(answer.refused.is_some());
    let more = ["www-authenticate", "retry-after"].iter().filter_map(|name| field(name));
    let more: String = more.map(|value| format!(" {value}")).collect();
    format!("{}{more} {}", answer.status, String::from_utf8(answer.body).unwrap())
}

/// S6749-4, S6749-6: RFC 6749 5.2.
#[test]
fn standard() {
    let words = all().map(|fault| told(standard::told(fault, "https://api.example")));
    let error = |status: &str, error: &str, description: &str| {
        format!("{status} {{\"error\":\"{error}\",\"error_description\":\"{description}\"}}")
    };
    assert_eq!(
        words,
        [
            error("400", "invalid_request", "grant_type is missing"),
            error(
                "401 Basic realm=\"https://api.example\"",
                "invalid_client",
                "client authentication failed"
            ),
            error(
                "400 4",
                "invalid_grant",
                "the user name or the password is wrong, or may not be used here"
            ),
            error("400", "unauthorized_client", "this client gets no tokens this way"),
            error("400", "unsupported_grant_type", "there is no such grant_type here"),
            error(
                "400",
                "invalid_scope",
                "the scope is not a list of names, or more than this client may do"
            ),
            error(
                "400",
                "invalid_target",
                "a resource is an absolute address without a fragment, and there are eight at most"
            ),
            error(
                "429",
                "temporarily_unavailable",
                "there are as many live tokens as there may be; use them, or revoke some"
            ),
            "503 by the API: store-away".to_owned(),
        ]
    );
}

#[test]
fn antavo() {
    let words = all().map(|fault| told(antavo::told(fault)));
    let error = |error: &str, code: u32, message: &str| {
        format!(
            "400 {{\"status\":\"error\",\"error\":\"{error}\",\"details\":{{\"type\":\"BadRequestException\",\"code\":{code},\"message\":\"{message}\"}}}}"
        )
    };
    let not_allowed = "The request includes a parameter that is not allowed for this grant type.";
    assert_eq!(
        words,
        [
            error("invalid_request", 220_011, not_allowed),
            "401 Basic realm=\"OAuth2 Token Endpoint\" {\"status\":\"error\",\"error\":\"invalid_client\",\"details\":{\"type\":\"UnauthorizedException\",\"code\":220010,\"message\":\"Client authentication failed\"}}".to_owned(),
            error("invalid_grant", 220_012, "The provided authorization grant is invalid"),
            error("unauthorized_client", 220_013, "The authenticated client is not authorized to use this authorization grant type"),
            error("unsupported_grant_type", 220_014, "The authorization grant type is not supported by this server"),
            error("invalid_scope", 220_015, "The requested scope is invalid, unknown, or malformed"),
            error("invalid_request", 220_011, not_allowed),
            "429 by the API: too-many-tokens".to_owned(),
            "503 by the API: store-away".to_owned(),
        ]
    );
}

#[test]
fn voucherify() {
    let words = all().map(|fault| told(voucherify::told(fault, "vouchers,campaigns\"")));
    let error = |code: u16, key: &str, message: &str| {
        format!("{code} {{\"code\":{code},\"key\":\"{key}\",\"message\":\"{message}\"}}")
    };
    assert_eq!(
        words,
        [
            error(400, "invalid_request", "Invalid request"),
            "401 by the API: wrong-client".to_owned(),
            error(400, "invalid_request", "Invalid request"),
            "401 by the API: plain-key".to_owned(),
            error(400, "invalid_grant_type", "Invalid grant_type"),
            error(400, "invalid_scope", "Invalid scope: vouchers,campaigns\\\""),
            error(400, "invalid_request", "Invalid request"),
            error(429, "too_many_tokens", "Too many active tokens"),
            "503 by the API: store-away".to_owned(),
        ]
    );
    assert_eq!(
        told(voucherify::told(voucherify::missing(), "")),
        error(400, "missing_parameters", "Missing parameters")
    );
}

#[test]
fn vista() {
    let asked = [
        ("content-type", What::Request),
        ("no-grant-type", What::Request),
        ("no-user", What::Request),
        ("client-label", What::Request),
        ("grant-type", What::GrantType),
        ("wrong-password", What::Grant),
        ("too-many-wrong-passwords", What::Grant),
    ];
    let words = asked.map(|(detail, what)| {
        let fault = Fault { what, detail, ..Fault::request("", "") };
        told(standard::told(vista::worded(fault), "https://api.example/"))
    });
    let error = |error: &str, description: &str| {
        format!("400 {{\"error\":\"{error}\",\"error_description\":\"{description}\"}}")
    };
    let couple = error("invalid_grant", "The username/password couple is invalid.");
    assert_eq!(
        words,
        [
            error("invalid_request", "The specified 'Content-Type' header is not valid."),
            error("invalid_request", "The mandatory 'grant_type' parameter is missing."),
            error("invalid_request", "The mandatory 'username' and/or 'password' parameters are missing."),
            error("invalid_request", "The specified 'client_id' parameter is invalid."),
            error("unsupported_grant_type", "The specified 'grant_type' parameter is not supported."),
            couple.clone(),
            couple,
        ]
    );
}
