#!/usr/bin/env python3
"""Signs a request and sends it. Needs Python alone.

    sign.py [--print DATE] ID SECRET_FILE SCOPE METHOD URL [BODY_FILE]

With --print and a date like 20261121T183211Z it prints the header fields instead.
"""
import hashlib
import hmac
import http.client
import sys
from datetime import datetime, timezone
from urllib.parse import quote, unquote_to_bytes, urlsplit


def canonical_query(query):
    """Every name and value decoded and encoded anew, always with a `=`, and sorted."""

    def encoded(text):
        # A plus stands for a space. Letters, digits and - . _ ~ are never encoded.
        return quote(unquote_to_bytes(text.replace("+", " ")), safe="")

    pairs = [pair.partition("=") for pair in query.split("&")] if query else []
    return "&".join(sorted(f"{encoded(name)}={encoded(value)}" for name, _, value in pairs))


def canonical_request(method, path, query, headers, body):
    fields = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    return "\n".join(
        [
            method,
            path or "/",
            canonical_query(query),
            *(f"{name}:{value}" for name, value in fields),
            "",
            ";".join(name for name, _ in fields),
            hashlib.sha256(body).hexdigest(),
        ]
    )


def string_to_sign(date, scope, canonical):
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"ANTAVO-HMAC-SHA256\n{date}\n{date[:8]}/{scope}\n{digest}"


def signing_key(secret, day, scope):
    key = b"ANTAVO" + secret
    for part in [day, *scope.split("/")]:
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(id, secret, scope, method, url, headers, body, date):
    """The header fields to send: those given, the date, and the signature."""
    address = urlsplit(url)
    host = address.netloc.removesuffix(":443" if address.scheme == "https" else ":80")
    headers = {**headers, "Date": date}
    canonical = canonical_request(method, address.path, address.query, {**headers, "Host": host}, body)
    key = signing_key(secret, date[:8], scope)
    signature = hmac.digest(key, string_to_sign(date, scope, canonical).encode(), "sha256").hex()
    signed = ";".join(sorted(name.lower() for name in [*headers, "Host"]))
    headers["Authorization"] = (
        f"ANTAVO-HMAC-SHA256 Credential={id}/{date[:8]}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    return headers


def send(method, url, headers, body):
    address = urlsplit(url)
    secure = address.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    target = (address.path or "/") + (f"?{address.query}" if "?" in url else "")
    connection = connect(address.hostname, address.port, timeout=60)
    connection.request(method, target, body or None, headers)
    answer = connection.getresponse()
    print(answer.status, answer.reason)
    print(answer.msg, end="")
    sys.stdout.buffer.write(answer.read())


def main(words):
    date = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    only_print = words[:1] == ["--print"]
    if only_print:
        date, words = words[1], words[2:]
    if len(words) not in (5, 6):
        sys.exit(__doc__)
    id, secret_file, scope, method, url = words[:5]
    with open(secret_file, "rb") as file:
        secret = file.read().rstrip(b"\r\n")
    body, headers = b"", {}
    if len(words) == 6:
        with open(words[5], "rb") as file:
            body, headers = file.read(), {"Content-Type": "application/json"}
    headers = sign(id, secret, scope, method, url, headers, body, date)
    if only_print:
        for name, value in headers.items():
            print(f"{name}: {value}")
    else:
        send(method, url, headers, body)


if __name__ == "__main__":
    main(sys.argv[1:])
