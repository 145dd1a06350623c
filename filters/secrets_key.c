/* Private keys and signed tokens. */
#include "filters/secret.h"

/* Between two lines of an armored key: line breaks, their escapes, strings of a program. */
#define BREAK                                                                                   \
	"(?:[ \\t\\r\\n\"'+,>#*|]|\\\\{1,4}[nrt]){0,12}"
#define BREAK_1                                                                                 \
	"(?:[ \\t\\r\\n\"'+,>#*|]|\\\\{1,4}[nrt]){1,12}"

const struct secret_kind filter_secrets_key[] = {
	{ "secret.private_key", 1, "-----begin",
	  "-----BEGIN[ A-Z0-9_-]{0,40}PRIVATE KEY(?: BLOCK)?-----" BREAK
	  "(?:[A-Za-z-]{4,20}: [^\\r\\n\\\\]{0,80}" BREAK_1 "){0,4}[A-Za-z0-9+/=]{32}",
	  0, 0, detect_armor, SECRET_TAIL_ARMOR,
	  "private key in PEM or PGP armor, to its END line", "RFC 7468, RFC 4880",
	  "-----BEGIN PRIVATE KEY-----\n" "Nfs4uEe2SzlhuspWoIntno6UjKnviVVfJ2MfVDfQU6qR62CB4ml"
	  "ZGHW7WflIFL/e\n" "pSGbEST7D8q+AKqkSCpVN8Wc6vb+dPI+GevE4HUJx9ByDdzQvE7z==\n-----END "
	  "PRIVATE KEY-----" },
	{ "secret.private_key_ssh2", 1, "---- begin ssh2",
	  "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----" BREAK
	  "(?:[A-Za-z-]{4,20}: [^\\r\\n\\\\]{0,80}" BREAK_1 "){0,4}[A-Za-z0-9+/=]{32}",
	  0, 0, detect_armor, SECRET_TAIL_LINES,
	  "private key of the SSH2 form", "RFC 4716, form of ssh.com",
	  "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n"
	  "Y6u9U3uzguptTTARWZCelZkgvgsqUzwwStkNECaHrvl3e8ZgzR8XJ8jqs6xDiJfz\n" "2He5jqdaWYwAI1"
	  "mR5J0zbJE09n0GMVebBjelJp21YAZ3/q5i99y/eCf0Z4fc\n---- END SSH2 ENCRYPTED PRIVATE "
	  "KEY ----" },
	{ "secret.private_key_putty", 1, "private-lines:",
	  "Private-Lines: [0-9]{1,4}(?:[> \\t\\r\\n]|\\\\{1,4}[nr]){1,8}"
	  "(?<s>[A-Za-z0-9+/=]{32})",
	  0, 0, detect_armor, SECRET_TAIL_LINES,
	  "private part of a PuTTY key file", "the.earth.li/~sgtatham/putty: PPK file format",
	  "Private-Lines: 8\n" "h8EG6oXqiPZWXtgA8e0vj0sRQeZewv04funDwKV/Z0QOCZ6NUSC6jxNBCKvkII"
	  "bR\n" "Vvu9hEIRUhD5p5w7P8U1kgRfwVptGQIg9zBxW5GcT1vbACOEzSvgqTk6zzHa8MEs\nPrivate-MA"
	  "C: " "6a833bc1b380aaebd30dc8fb20333fcbec15ace6" },
	{ "secret.private_key_jwk", 1, "\"d\"",
	  "\"d\"\\s{0,3}:\\s{0,3}\"(?<s>[A-Za-z0-9_-]{43,500})\"",
	  0, 40, detect_mixed, SECRET_TAIL_NONE,
	  "private part of a JSON web key", "RFC 7517, RFC 7518",
	  "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\""
	  "S2Hv1FY6yQ4iSFuz_yZ01lzvR-I4KKcZOq0vmL_O48I\"}" },
	{ "secret.private_key_jwk", 1, "\"oct\"",
	  "\"oct\"[^{}]{0,120}?\"k\"\\s{0,3}:\\s{0,3}\"(?<s>[A-Za-z0-9_-]{22,200})\"",
	  0, 35, detect_mixed, SECRET_TAIL_NONE,
	  "symmetric JSON web key", "RFC 7517, RFC 7518",
	  "{\"kty\":\"oct\",\"k\":\"" "rs2Ytzg04wRQ7b0e2xU9nveH6pc5aSBFURV7U4f38uq\"}" },
	{ "secret.age", 1, "age-secret-key-1",
	  "(?i)AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}" SECRET_WORD_R,
	  0, 0, detect_certain, SECRET_TAIL_NONE,
	  "age identity", "github.com/C2SP/C2SP: age",
	  "AGE-SECRE" "T-KEY-13C4K4Q28JD8ZCYDTNXMAEF84D4E9D0CF78PHR509EMUL2MGV9WTSX8TGNR" },
	{ "secret.age", 1, "age-secret-key-pq-1|age-plugin-",
	  "(?i)AGE-(?:SECRET-KEY-PQ|PLUGIN-[A-Z0-9-]{1,30})"
	  "-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{40}",
	  0, 0, detect_certain, SECRET_TAIL_TOKEN,
	  "age identity, post-quantum or of a plugin", "github.com/C2SP/C2SP: age",
	  "AGE-PLUGI" "N-YUBIKEY-15XHUGHKSV3H44GS3GLVWQECCKVLLFZ4RZ4GNW4Q2MJVY7D2UVUNNGJSWJ48Z"
	  "0REGTZ38YS" },
	{ "secret.minisign", 1, "rwrty0iy",
	  SECRET_WORD_L "RWRTY0Iy[A-Za-z0-9+/]{150,220}={0,2}" SECRET_WORD_R,
	  0, 40, NULL, SECRET_TAIL_NONE,
	  "minisign secret key", "jedisct1.github.io/minisign",
	  "RWRTY0Iy" "nplgXoxtbnCGbbDHzZH8NgeWr9fQ3x4LHN1dAwig5ZO+VV0eEYVWD2GB5c9TI6ohvBDrN6zb"
	  "nbM0rJw2glktmqBnPUM6n4nLhba3nv5wFdfxBr3GFXUH+L7ljhCYXvWdMSX1JJwe2+AiSSr2OJ3mpWBw50j"
	  "zTRpizk/EtHfHFUwU1S+25hOsLR/UEJmSnfszIIGfP3V694hy" },
	{ "secret.signify", 1, "rwrcsw",
	  SECRET_WORD_L "RWRCSw[A-Za-z0-9+/]{120,150}={0,2}" SECRET_WORD_R,
	  0, 40, NULL, SECRET_TAIL_NONE,
	  "signify secret key", "man.openbsd.org/signify",
	  "RWRCSwAAACo" "lG7EN7oOVMcpG0TcRMP5BrXo1sCTx+floiD6U5L5zMLKi2f4AFQJ6tpYLwYMQyzjM79Fy"
	  "POPCXRoRJcTG8f7xtOP8Xs29vkBM9bg8vigyhnrrvH2J6vQW3CcTnfu9vD8" },
	{ "secret.bitcoin_wif", 1, "wif|privkey|private|wallet",
	  "(?i)(?:wif|priv(?:ate)?[ _-]?key|wallet)[^\\r\\n]{0,40}?(?-i:(?<![A-Za-z0-9])"
	  "(?<s>[5KLc9][1-9A-HJ-NP-Za-km-z]{50,51}))(?![A-Za-z0-9])",
	  0, 0, detect_wif, SECRET_TAIL_NONE,
	  "Bitcoin private key, wallet import format", "en.bitcoin.it/wiki: WIF",
	  "WIF: " "KzFUD9L1o1DJsc5jwzCoiKQQfGYLwsYo7PeQBv9jUTXEN5ENYSYq" },
	{ "secret.extended_private_key", 1, "xprv|yprv|zprv|tprv|uprv|vprv",
	  SECRET_WORD_L "[xyztuv]prv[1-9A-HJ-NP-Za-km-z]{107,108}" SECRET_WORD_R,
	  0, 40, NULL, SECRET_TAIL_NONE,
	  "extended private key of a wallet", "BIP 32",
	  "xprv9s21ZrQH143K" "6uB1cdGzdgkKkZ6yia4U3n63yjrbdNdBd8LDk2HHuqaT2vsmX95Q43iBhkW2ZWMG"
	  "xshzfLSYuWQAGTbLoy7oQxzuHMTkzqgP" },
	{ "secret.nostr", 1, "nsec1",
	  SECRET_WORD_L "nsec1[ac-hj-np-z02-9]{58}" SECRET_WORD_R,
	  0, 30, detect_bech32_key, SECRET_TAIL_NONE,
	  "Nostr private key", "NIP-19",
	  "nsec1v2rh" "kt7cr9kqzlaz7xrw6c604s3hky5xf5mc737rvp3zckeegjrquxa0t4" },
	{ "secret.mnemonic", 1, "mnemonic|seed phrase|recovery phrase|seed_phrase",
	  "(?i)(?:mnemonic|seed[ _]phrase|recovery phrase)[A-Za-z_ ]{0,16}[\"']?[ \\t]{0,3}"
	  "[:=][ \\t]{0,3}[\"']?(?<s>(?:[a-z]{3,8} ){11,23}[a-z]{3,8})(?![a-z])",
	  0, 0, detect_certain, SECRET_TAIL_NONE,
	  "seed phrase of a wallet", "BIP 39",
	  "mnemonic:" " velvet garden timber silent orbit canyon harbor meadow copper saddle "
	  "window ladder" },
	{ "secret.wireguard", 1, "privatekey|presharedkey",
	  "(?i)(?:PrivateKey|PresharedKey)[ \\t]{0,4}=[ \\t]{0,4}(?<s>[A-Za-z0-9+/]{43}=)",
	  0, 40, NULL, SECRET_TAIL_NONE,
	  "WireGuard key", "wireguard.com: wg(8)",
	  "PrivateKey = " "MHFe21382t9c6c1yIXsbJN+q983ecuCdHlT8oOorjsA=" },
	{ "secret.jwt", 1, "eyj",
	  SECRET_L "eyJ[A-Za-z0-9_-]{8,800}\\.{1,2}[A-Za-z0-9_-]{6}",
	  0, 0, detect_jwt, SECRET_TAIL_TOKEN,
	  "JSON web token", "RFC 7519",
	  "eyJhbGciO" "iJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiAiOTUzMTg2Nzg3MiIsICJuYW1lIjogIkE"
	  "uIFNhbXBsZSIsICJpYXQiOiAxNTE2MjM5MDIyfQ.bCgelq7rxrvU9RCxBaP1CMJOKJM6PlWBPwRx83qMmC7" },
	{ "secret.otpauth", 1, "otpauth://",
	  "otpauth://[^\\s\"'<>]{0,200}?[?&]secret=(?<s>[A-Za-z2-7]{16,128})",
	  0, 25, NULL, SECRET_TAIL_NONE,
	  "secret of a one-time password", "github.com/google/google-authenticator: key URI",
	  "otpauth://totp/Acme:a@example.org?secret=" "F3SGZLSW6RALE7MHQTIGHBYB35E672T5&issuer"
	  "=Acme" },
	{ NULL, 0, NULL, NULL, 0, 0, NULL, SECRET_TAIL_NONE, NULL, NULL, NULL },
};
