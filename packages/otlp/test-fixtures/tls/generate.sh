#!/bin/sh
# Makes every file of this folder anew (README.md). Needs OpenSSL 3.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1-key.pem" 2>/dev/null; }

authority() { # name
  key "$1"
  openssl req -x509 -new -key "$1-key.pem" -subj "/CN=otel-resilience test $1" -days 36500 -sha256 \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' -out "$1.pem"
}

leaf() { # name, authority, first and last day, extensions
  [ -e "$1-key.pem" ] || key "$1"
  openssl req -new -key "$1-key.pem" -subj "/CN=otel-resilience test $1" -out "$work/csr.pem"
  : > "$work/index"
  printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\nnew_certs_dir=%s\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n[x]\n%b\n' \
    "$work" "$work" "$5" > "$work/ca.cnf"
  openssl ca -batch -notext -config "$work/ca.cnf" -extensions x -startdate "$3" -enddate "$4" \
    -cert "$2.pem" -keyfile "$2-key.pem" -in "$work/csr.pem" -out "$1.pem" 2>/dev/null
}

NAMES='subjectAltName=DNS:localhost,DNS:collector.test,IP:127.0.0.1,IP:::1'
SERVER="basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n$NAMES"
CLIENT='basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth'
FROM=20260101000000Z
TO=21260101000000Z

rm -f ./*.pem
authority ca
authority other-ca
leaf server ca $FROM $TO "$SERVER"
leaf server-expired ca 20200101000000Z 20210101000000Z "$SERVER"
leaf client ca $FROM $TO "$CLIENT"
leaf client-expired ca 20200101000000Z 20210101000000Z "$CLIENT"
openssl pkcs8 -topk8 -in client-key.pem -passout pass:correct-horse -out client-key-encrypted.pem
rm other-ca-key.pem ca-key.pem
chmod 644 ./*.pem
