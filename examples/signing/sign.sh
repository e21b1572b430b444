#!/bin/sh
# Signs a request and sends it. Needs openssl, awk and curl.
#   sign.sh [--print DATE] ID SECRET_FILE SCOPE METHOD URL [BODY_FILE]
# With --print and a date like 20261121T183211Z it prints the header fields instead.
set -eu

# Hexadecimal of standard input, of its SHA-256, and bytes from their octal escapes.
hex() { od -An -v -tx1 | tr -d ' \n'; }
sha256() { openssl dgst -sha256 -binary | hex; }

# HMAC-SHA256 of standard input with a key in hexadecimal (RFC 2104). openssl would want the key as an argument, which
# every user of the machine can read in the list of processes.
hmac() {
    key=$1 inner='' outer=''
    if [ ${#key} -gt 128 ]; then key=$(unhex "$key" | sha256); fi
    while [ ${#key} -lt 128 ]; do key=${key}00; done
    while [ -n "$key" ]; do
        rest=${key#??}
        byte=$((0x${key%"$rest"}))
        key=$rest
        i=$((byte ^ 0x36)) o=$((byte ^ 0x5c))
        inner="$inner\\0$((i / 64))$((i / 8 % 8))$((i % 8))"
        outer="$outer\\0$((o / 64))$((o / 8 % 8))$((o % 8))"
    done
    {
        printf '%b' "$outer"
        { printf '%b' "$inner"; cat; } | openssl dgst -sha256 -binary
    } | sha256
}

unhex() {
    digits=$1 escapes=''
    while [ -n "$digits" ]; do
        rest=${digits#??}
        n=$((0x${digits%"$rest"}))
        digits=$rest
        escapes="$escapes\\0$((n / 64))$((n / 8 % 8))$((n % 8))"
    done
    printf '%b' "$escapes"
}

# Every name and value decoded and encoded anew, always with a `=`, and sorted.
canonical_query() {
    [ -n "$1" ] || return 0
    printf '%s\n' "$1" | tr '&' '\n' | LC_ALL=C awk '
        BEGIN { for (i = 1; i < 256; i++) { char[i] = sprintf("%c", i); code[char[i]] = i } }
        function digit(c) { return index("0123456789abcdef", tolower(c)) - 1 }
        function encoded(text,   out, i, n) {
            out = ""
            for (i = 1; i <= length(text); i++) {
                n = code[substr(text, i, 1)]
                if (substr(text, i, 3) ~ /^%[0-9A-Fa-f][0-9A-Fa-f]$/) {
                    n = 16 * digit(substr(text, i + 1, 1)) + digit(substr(text, i + 2, 1))
                    i += 2
                } else if (n == 43) n = 32 # A plus stands for a space.
                out = out (char[n] ~ /^[A-Za-z0-9._~-]$/ ? char[n] : sprintf("%%%02X", n))
            }
            return out
        }
        {
            cut = index($0, "=")
            if (!cut) print encoded($0) "="
            else print encoded(substr($0, 1, cut - 1)) "=" encoded(substr($0, cut + 1))
        }' | LC_ALL=C sort | paste -s -d '&' -
}

date=$(date -u +%Y%m%dT%H%M%SZ)
print=no
if [ "${1:-}" = --print ]; then
    print=yes date=$2
    shift 2
fi
if [ $# -lt 5 ] || [ $# -gt 6 ]; then
    sed -n '2,4s/^# *//p' "$0" >&2
    exit 2
fi
id=$1 secret=$(cat "$2") scope=$3 method=$4 url=$5 body=${6:-/dev/null}

# The address: host and port as they are sent, path, query.
rest=${url#*://}
host=${rest%%[/?]*}
target=${rest#"$host"}
case ${url%%:*}:$host in https:*:443 | http:*:80) host=${host%:*} ;; esac
path=${target%%\?*} query=''
case $target in *\?*) query=${target#*\?} ;; esac

# 1. The canonical request.
if [ $# -eq 6 ]; then
    fields="content-type:application/json
date:$date
host:$host"
    signed='content-type;date;host'
else
    fields="date:$date
host:$host"
    signed='date;host'
fi
canonical="$method
${path:-/}
$(canonical_query "$query")
$fields

$signed
$(sha256 <"$body")"

# 2. The string to sign.
day=${date%T*}
string="ANTAVO-HMAC-SHA256
$date
$day/$scope
$(printf '%s' "$canonical" | sha256)"

# 3. The signing key: a chain of HMACs over the day and each part of the scope.
key=$(printf '%s' "ANTAVO$secret" | hex)
parts=$day/$scope/
while [ -n "$parts" ]; do
    key=$(printf '%s' "${parts%%/*}" | hmac "$key")
    parts=${parts#*/}
done

# 4. The signature, and the header field.
signature=$(printf '%s' "$string" | hmac "$key")
authorization="ANTAVO-HMAC-SHA256 Credential=$id/$day/$scope, SignedHeaders=$signed, Signature=$signature"

if [ $print = yes ]; then
    if [ $# -eq 6 ]; then echo 'Content-Type: application/json'; fi
    printf 'Date: %s\nAuthorization: %s\n' "$date" "$authorization"
    exit
fi
# curl must not touch the address: no patterns, no removal of dot segments.
if [ $# -eq 6 ]; then
    set -- -H 'Content-Type: application/json' --data-binary "@$body"
else
    set --
fi
if [ "$method" = HEAD ]; then set -- "$@" --head; fi
exec curl -sS -i --globoff --path-as-is -X "$method" "$url" -H "Date: $date" -H "Authorization: $authorization" "$@"
