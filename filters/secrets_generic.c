/* Secrets known by where they stand: connection strings, headers, assignments. */
#include "filters/secret.h"

#define PASSWORD_NAME                                                                           \
	"(?:password|passwd|passphrase|passwort|kennwort|contrase(?:ñ|n)a|senha|wachtwoord"     \
	  "|mot[ _]de[ _]passe|hasło|парол[ья]|пароль|密码|口令|パスワード|비밀번호|(?<![A-Za-z])pwd?"       \
	  "(?![a-z])|_pwd|_pass(?![a-z])|(?<![A-Za-z])pass(?![a-z]))"
/* Not what is about passwords: password_policy, password_file. */
#define NOT_ABOUT_PASSWORDS                                                                     \
	"(?!s?[_-]?(?:hash|reset|policy|field|len|min|max|url|uri|file|path|hint|expir|type"    \
	  "|name|id(?![A-Za-z])|count|confirm|label|placeholder|input|form|error|require|chang" \
	  "|encod|strength|column|regex|pattern|rule|manager|valid|salt|prompt|less|word))"
/* Names of passwords, in several languages. */
#define PASSWORD_WORDS                                                                          \
	"password|passwd|passphrase|passwort|kennwort|contraseña|contrasena|senha|wachtwoord"   \
	  "|mot de passe|mot_de_passe|hasło|пароль|Пароль|密码|口令|パスワード|비밀번호|pwd|pw|_pass|pass"
/* From a name to its value, in code, configuration and sentences. */
#define ASSIGNED                                                                                \
	"[A-Za-z0-9_]{0,24}(?:\\\\?[\"'`])?(?:,?\\s{1,16}[\"']?value[\"']?)?[ \\t]{0,4}\\]"     \
	  "?(?::[ \\t]{0,2}[A-Za-z]{3,12}[ \\t]{0,3}(?==))?[ \\t]{0,8}(?:[:?|.+]?={1,3}>?"      \
	  "|:{1,3}=?|：|>| is | ist | es | est )[ \\t]{0,8}"
#define TOKEN_NAME                                                                              \
	"(?<!next)(?<!next[_-])(?<!page)(?<!page[_-])(?<!ation)(?<!ation[_-])(?<!lock)"         \
	  "(?<!lock[_-])(?<!change)(?<!change[_-])(?<!sync)(?<!sync[_-])(?<!csrf)(?<!csrf[_-])" \
	  "(?<!authenticity[_-])(?<!:)(?:token|secret|api[_-]?key|apikey|access[_-]?key"        \
	  "|auth[_-]?key|private[_-]?key|client[_-]?key|encryption[_-]?key|signing[_-]?key"     \
	  "|session[_-]?key|master[_-]?key|app[_-]?key|service[_-]?key|license[_-]?key"         \
	  "|account[_-]?key|shared[_-]?key|credentials?|webhook|(?<!public)(?<!primary)"        \
	  "(?<!foreign)(?<!cache)(?<!sort)(?<!idempotency)(?<!partition)(?<!object)(?<!row)"    \
	  "(?<!unique)(?<!site)(?<!pub)_key)"
/* Not what is about tokens: token_count, secret_name. */
#define NOT_ABOUT_TOKENS                                                                        \
	"(?![A-Za-z0-9_]{0,12}(?:count|type|name|url|uri|[_-]id(?![A-Za-z])|izer|limit|usage"   \
	  "|endpoint|expir|ttl|length|size|path|file|index|prefix|hash|digest|budget|price"     \
	  "|cost|ref(?![a-z])|status|class|arn|version|sha|checksum|fingerprint|public))"
/* Names of tokens and keys. */
#define TOKEN_WORDS                                                                             \
	"token|secret|api_key|apikey|api-key|access_key|accesskey|access-key|auth_key|authkey"  \
	  "|auth-key|private_key|privatekey|private-key|client_key|encryption_key"              \
	  "|encryptionkey|signing_key|signingkey|session_key|master_key|masterkey|app_key"      \
	  "|appkey|service_key|servicekey|license_key|licensekey|account_key|accountkey"        \
	  "|shared_key|sharedkey|credential|webhook|_key"
/* An entry below data:, to its value; and one that is passed over. */
#define ENTRY                                                                                   \
	"(?:\\s{1,12}+#[^\\n]{0,90}+)?\\s{1,12}+[A-Za-z0-9_.-]{1,40}+:[ \\t]{0,4}+(?:[|>]"      \
	  "[+-]?\\s{1,10}+)?[\"']?"
#define PASSED                                                                                  \
	"\\s{1,8}+[A-Za-z0-9_.-]{1,30}+:[ \\t]{0,4}+[\"']?[A-Za-z0-9+/=]{0,48}+[\"']?"

const struct secret_kind filter_secrets_generic[] = {
	{ "secret.url_password", 1, "://",
	  "(?<=[A-Za-z0-9])://[^\\s/?#:@\"'<>`\\\\]{0,64}:(?<s>[^\\s/?#\"'<>`\\\\]{3,128})"
	  "@[A-Za-z0-9\\[]",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password in a URL or connection string", "RFC 3986: userinfo",
	  "postgres://svc:" "UsuzarAp57!Q@db.example.org/app" },
	{ "secret.url_token", 1, "://",
	  "(?<=[A-Za-z0-9])://(?<s>[A-Za-z0-9_-]{20,100})@(?:github|gitlab|bitbucket"
	  "|dev\\.azure)",
	  0, 30, detect_mixed, SECRET_TAIL_NONE,
	  "token in the URL of a repository", "git-scm.com/docs: gitcredentials",
	  "https://" "0MluZQAeCcFt3qAaL7MPzOgBUrOlgyA7aprzFxC0@github.com/acme/app.git" },
	{ "secret.jdbc", 1, "jdbc:",
	  "(?i)jdbc:[^\\s\"'<>]{2,230}?[?;&]password=(?<s>[^\\s\"'&;<>]{3,100})",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password in a JDBC URL", "vendors' manuals of JDBC drivers",
	  "jdbc:mysql://db.example.org/app?user=svc&password=" "IkAbApon32*X" },
	{ "secret.jdbc", 1, "jdbc:oracle:",
	  "(?i)jdbc:oracle:[a-z]{3,5}:[^\\s/\"']{1,40}/(?<s>[^\\s@\"'<>]{3,60})@",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password in an Oracle JDBC URL", "docs.oracle.com: JDBC",
	  "jdbc:oracle:thin:scott/" "Eqeqazej59*Z@db.example.org:1521:orcl" },
	{ "secret.connection_string", 1, "server|data source|host|user id|uid|username|addr",
	  "(?i)(?:server|data source|host|addr|user id|uid|username)[ ]{0,2}"
	  "=[^\"'\\r\\n]{1,200}?;[ ]{0,2}(?:password|pwd)[ ]{0,2}=[ ]{0,2}'?"
	  "(?<s>[^;\"'\\r\\n]{3,100})(?=[;\"'\\r\\n])",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password in an ADO or ODBC connection string",
	  "learn.microsoft.com: connection strings",
	  "Server=db.example.org;Database=app;User Id=svc;Password=" "unUtAhuh32!K;" },
	{ "secret.basic_auth", 1, "basic",
	  "(?i)basic[ \\t]{1,4}(?<s>[A-Za-z0-9+/_-]{8,400}={0,2})(?![A-Za-z0-9+/=_-])",
	  0, 0, detect_basic_auth, SECRET_TAIL_NONE,
	  "HTTP basic authentication", "RFC 7617",
	  "Authorization: Basic " "c3ZjLWxnZWxrOnZXRXN5bUhaMjNMUVNr" },
	{ "secret.bearer", 1, "bearer",
	  "(?i)bearer[ \\t]{1,4}(?<s>[A-Za-z0-9_~+/-][A-Za-z0-9_~+/=.-]{15,200})"
	  "(?![A-Za-z0-9_~+/=.-]{201})",
	  0, 30, detect_token, SECRET_TAIL_TOKEN,
	  "HTTP bearer token", "RFC 6750",
	  "Authorization: Bearer " "o3qJOId1kroh2L_i-HYs3hQFXCXhgV3qwiqytCrx" },
	{ "secret.auth_header", 1, "authorization|api-key|api-token|apikey|auth-token"
	  "|access-token|private-token|x-token",
	  "(?i)(?<![A-Za-z_:])(?:authorization|(?:x-[a-z]{2,20}-)?api-?(?:key|token)|(?:x-)?"
	  "(?:auth|access|private|csrf)-token|x-token)[\"']?[ \\t]{0,3}:[ \\t]{0,5}[\"']?(?:"
	  "(?:token|bearer|api-?(?:key|token)|key|apikey)[ \\t]{1,3})?"
	  "(?<s>[A-Za-z0-9_~@+/=.-]{8,300})(?![A-Za-z0-9_~@+/=.$({-])",
	  0, 27, detect_header, SECRET_TAIL_NONE,
	  "key or token in an HTTP header", "RFC 9110: Authorization",
	  "X-Api-Key: " "c5ea5ad4caaeea2a674a3b2e1533bee0" },
	{ "secret.auth_header", 1, "token:",
	  "(?i)(?<=[\\s\"'])token:[ \\t]{0,5}(?<s>[A-Za-z0-9_~@+/=.-]{16,300})"
	  "(?![A-Za-z0-9_~@+/=.$({-])",
	  0, 27, detect_header, SECRET_TAIL_NONE,
	  "token in an HTTP header of that name", "RFC 9110: field names",
	  "-H \"Token: " "9aaeea22517af37ae3f74761342ada38\"" },
	{ "secret.curl_user", 1, "curl",
	  "(?i)curl\\b[^|;]{0,300}?[ \\t\\n](?:-u|--user)(?:=|[ \\t]{0,5})(?:\\\\?[\"'])?"
	  "(?<s>[^\\s\"':]{0,80}[\"']?:[\"']?[^\\s\"']{3,100}|[^\\s\"':]{6,80}:)(?=[\\s\"']|$)",
	  0, 0, detect_curl_user, SECRET_TAIL_NONE,
	  "user and password of a curl command", "curl.se/docs: curl.1",
	  "curl --user svc:" "ItasAcef62*K https://example.org/" },
	{ "secret.netrc", 1, "machine",
	  "(?i)machine\\s{1,8}(?:localhost|[A-Za-z0-9-]{1,60}[.:0-9][A-Za-z0-9.:-]{0,60})"
	  "\\s{1,8}login\\s{1,8}\\S{1,80}\\s{1,8}password\\s{1,8}(?<s>\\S{3,120})",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password in a .netrc file", "gnu.org/software/inetutils: .netrc",
	  "machine example.org login svc password " "ArIcipik11*Z" },
	{ "secret.pgpass", 1, ":5432:",
	  ":5432:[^:\\s]{1,60}:[^:\\s]{1,60}:(?<s>[^\\s:]{3,80})",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password in a .pgpass file", "postgresql.org/docs: password file",
	  "db.example.org:5432:app:svc:" "umijetim69*X" },
	{ "secret.sshpass", 1, "sshpass",
	  "sshpass[ \\t]{1,4}-p[ \\t]{0,4}[\"']?(?<s>[^\\s\"'$]{4,80})",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password of an sshpass command", "man sshpass",
	  "sshpass -p " "inUsuher85*K ssh svc@example.org" },
	{ "secret.sql_password", 1, "identified|password",
	  "(?i)(?:identified[ ]{1,3}(?:with[ ]{1,3}[a-z0-9_]{3,30}[ ]{1,3})?by|password)[ "
	  "]{1,3}(?:=[ ]{0,2})?'{1,2}(?<s>[^'\\r\\n]{4,80})'",
	  0, 0, detect_password, SECRET_TAIL_NONE,
	  "password in an SQL statement", "SQL: CREATE USER, ALTER ROLE",
	  "CREATE USER svc IDENTIFIED BY '" "ijizAhIg58!Z';" },
	{ "secret.directive_password", 1, "requirepass|masterauth|bindpw|rootpw",
	  "(?i)(?<![A-Za-z])(?:requirepass|masterauth|bindpw|rootpw)[ \\t]{1,8}[\"']?"
	  "(?<s>[^\\s\"'$]{4,100})",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password in the configuration of Redis or an LDAP client",
	  "redis.io/docs, man ldap.conf",
	  "requirepass " "AgUgiwev97*Z" },
	{ "secret.powershell", 1, "securestring",
	  "(?i)securestring[ \\t]{1,4}(?:-string[ \\t]{1,4})?[\"'](?<s>[^\"'\\r\\n$]{4,80})"
	  "[\"']",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password turned into a secure string", "learn.microsoft.com: ConvertTo-SecureString",
	  "ConvertTo-SecureString \"" "EbomUpAr44*Z\" -AsPlainText -Force" },
	{ "secret.django", 1, "secret_key",
	  "(?i)secret_key[\"']?\\]?[ ]{0,3}[:=][ ]{0,3}[\"'](?<s>[^\"'\\s\\\\]{40,100})[\"']",
	  0, 38, detect_mixed, SECRET_TAIL_NONE,
	  "secret key of Django or Flask", "docs.djangoproject.com: SECRET_KEY",
	  "SECRET_KEY = \"django-insecure-" "6TTHK89SqUSlgTvuGmZjUChw#z&"
	  "Rb61jFODoI8mNcjw19iG\"" },
	{ "secret.mysql_cli", 1, "mysql|mariadb",
	  "(?:mysql|mariadb)[a-z]{0,10}\\b[^\\r\\n|;]{0,120}? -p(?<s>[^\\s\"'$=-]"
	  "[^\\s\"'$]{4,60})",
	  0, 0, detect_password, SECRET_TAIL_NONE,
	  "password of a MySQL command", "dev.mysql.com/doc: password options",
	  "mysql -u svc -p" "irodEtut02*Q app" },
	{ "secret.openssl_pass", 1, "pass:",
	  "(?<=[ =])pass:(?<s>[^\\s\"'$:]{4,80})",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "passphrase of an openssl command", "docs.openssl.org: passphrase options",
	  "openssl rsa -passin pass:" "AtavEgAj06!Z -in key.pem" },
	{ "secret.cli_option", 1, "-password|-passwd|-passphrase|-pwd|-token|-secret|-api-key"
	  "|-apikey|-access-key",
	  "(?i)-(?:password|passwd|passphrase|pwd|(?:access-|auth-|api-|refresh-)?token|secret"
	  "|(?:client|app)-secret|api-?key|(?:secret-|access-)key)(?:=|[ \\t]{1,3})[\"']?"
	  "(?<s>[^\\s\"'`$<>{}()\\[\\]|&;,]{6,120})(?=[\\s\"'`&;|),]|$)",
	  0, 20, detect_password_bare, SECRET_TAIL_NONE,
	  "password or token given as a command line option", "getopt conventions",
	  "deploy --password " "afAcUmew23*X --now" },
	{ "secret.wifi", 1, "wifi:",
	  "WIFI:[^\\r\\n]{0,80}?P:(?<s>[^;\\r\\n]{8,63});",
	  0, 0, detect_user_password, SECRET_TAIL_NONE,
	  "password of a Wi-Fi QR code", "github.com/zxing: barcode contents",
	  "WIFI:T:WPA;S:acme;P:" "ogahimog73!X;;" },
	{ "secret.wifi", 1, "psk",
	  "(?i)(?<![A-Za-z0-9])psk[ ]{0,2}=[ ]{0,2}\"?(?<s>[^\\s\"]{8,64})",
	  0, 20, detect_user_password, SECRET_TAIL_NONE,
	  "pre-shared key of a Wi-Fi network", "w1.fi: wpa_supplicant.conf",
	  "psk=\"" "ogEnimuv30*X\"" },
	{ "secret.password", 1, PASSWORD_WORDS,
	  "(?i)" PASSWORD_NAME NOT_ABOUT_PASSWORDS ASSIGNED
	  "\\\\?\"(?<s>[^\"\\s\\\\<>]{6,80})\\\\?\"",
	  0, 20, detect_password, SECRET_TAIL_NONE,
	  "password assigned in code, configuration or text", "names of settings in common use",
	  "password = \"" "ekapAdiv99*K\"" },
	{ "secret.password", 1, PASSWORD_WORDS,
	  "(?i)" PASSWORD_NAME NOT_ABOUT_PASSWORDS ASSIGNED
	  "['`]{1,2}(?<s>[^'`\\s\\\\<>]{6,80})['`]",
	  0, 20, detect_password, SECRET_TAIL_NONE,
	  "password assigned in code, configuration or text", "names of settings in common use",
	  "password = '" "ahIdUjav10*Q'" },
	{ "secret.password", 1, PASSWORD_WORDS,
	  "(?i)" PASSWORD_NAME NOT_ABOUT_PASSWORDS ASSIGNED "(?<s>[^\\s\"'`<>{}()\\[\\]$%,;"
	  "|&@\\\\](?:[^\\s\"'`<>{}()\\[\\],;|&\\\\]|&(?![A-Za-z0-9_.]{1,40}=)){5,80})"
	  "(?=[\\s\"'`<>,;&|})\\]]|\\\\[nrt]|$)",
	  0, 20, detect_password_bare, SECRET_TAIL_NONE,
	  "password in a setting without quotes, a URL or a sentence",
	  "names of settings in common use",
	  "DB_PASSWORD=" "efovIcIz75!X" },
	{ "secret.password", 1, PASSWORD_WORDS,
	  "(?i)(?<=\\([\"'`])[A-Za-z0-9_.-]{0,40}" PASSWORD_NAME "(?:[_.-][A-Za-z0-9_.-]{0,20}"
	  "|[0-9]{0,2})[\"'`][ \\t]{0,3},[ \\t]{0,4}[\"'`](?<s>[^\"'`\\s\\\\<>]{6,80})[\"'`]",
	  40, 20, detect_password, SECRET_TAIL_NONE,
	  "password given to a call: setProperty(\"db.password\", ...)",
	  "names of settings in common use",
	  "set(\"db.password\", \"" "UnEpAjis61*Q\")" },
	{ "secret.token", 1, TOKEN_WORDS,
	  "(?i)" TOKEN_NAME NOT_ABOUT_TOKENS SECRET_SET
	  "(?<s>[A-Za-z0-9][A-Za-z0-9_=+/.~:!-]{15,199})(?![A-Za-z0-9_=+/~({$-])",
	  0, 27, detect_token, SECRET_TAIL_NONE,
	  "token, key or secret assigned in code or configuration",
	  "names of settings in common use",
	  "api_key = \"" "AnMoSRVRKoTY5Z4qnJuqlhO0ORdBNa8xO8QjNkEJ\"" },
	{ "secret.token", 1, TOKEN_WORDS,
	  "(?i)(?<=\\([\"'`])[A-Za-z0-9_.-]{0,40}" TOKEN_NAME NOT_ABOUT_TOKENS "(?:[_.-]"
	  "[A-Za-z0-9_.-]{0,20}|[0-9]{0,2})[\"'`][ \\t]{0,3},[ \\t]{0,4}[\"'`](?<s>[A-Za-z0-9]"
	  "[A-Za-z0-9_=+/.~:!-]{15,199})[\"'`]",
	  40, 27, detect_token, SECRET_TAIL_NONE,
	  "token given to a call: setProperty(\"api.key\", ...)",
	  "names of settings in common use",
	  "set(\"api_key\", \"" "KzE7z9B5vMO0JW41GqUrOVgcWRVYWGIXNwaI9fXj\")" },
	{ "secret.kubernetes_secret", 1, "kind:",
	  "(?i)kind:[ \\t]{0,4}[\"']?secret[\"']?[ \\t]{0,20}\\r?\\n(?:[^-]|-[^-]"
	  "){0,120}?\\bdata:[ \\t]{0,20}+" ENTRY "(?<s>[A-Za-z0-9+/]{10,160}+={0,3}+)[\"']?+",
	  0, 20, detect_user_password, SECRET_TAIL_TOKEN,
	  "value of a Kubernetes secret", "kubernetes.io/docs: secrets",
	  "apiVersion: v1\nkind: Secret\ndata:\n  token: " "wtAPAD3TjQw5zaMpme+nQUrY\n" },
	{ "secret.kubernetes_secret", 1, "kind:",
	  "(?i)kind:[ \\t]{0,4}[\"']?secret[\"']?[ \\t]{0,20}\\r?\\n(?:[^-]|-[^-]"
	  "){0,120}?\\bdata:[ \\t]{0,20}+(?:" PASSED "){1}" ENTRY
	  "(?<s>[A-Za-z0-9+/]{10,160}+={0,3}+)[\"']?+",
	  0, 20, detect_user_password, SECRET_TAIL_TOKEN,
	  "value of a Kubernetes secret", "kubernetes.io/docs: secrets",
	  "apiVersion: v1\nkind: Secret\ndata:\n  k0: YWJj\n  token: "
	  "iC5dhfBUjJXOYAJU/S2BrUIy\n" },
	{ "secret.kubernetes_secret", 1, "kind:",
	  "(?i)kind:[ \\t]{0,4}[\"']?secret[\"']?[ \\t]{0,20}\\r?\\n(?:[^-]|-[^-]"
	  "){0,120}?\\bdata:[ \\t]{0,20}+(?:" PASSED "){2}" ENTRY
	  "(?<s>[A-Za-z0-9+/]{10,160}+={0,3}+)[\"']?+",
	  0, 20, detect_user_password, SECRET_TAIL_TOKEN,
	  "value of a Kubernetes secret", "kubernetes.io/docs: secrets",
	  "apiVersion: v1\nkind: Secret\ndata:\n  k0: YWJj\n  k1: YWJj\n  token: "
	  "3lH/+UduUCxogYlHY8Cwqy2B\n" },
	{ "secret.kubernetes_secret", 1, "kind:",
	  "(?i)kind:[ \\t]{0,4}[\"']?secret[\"']?[ \\t]{0,20}\\r?\\n(?:[^-]|-[^-]"
	  "){0,120}?\\bdata:[ \\t]{0,20}+(?:" PASSED "){3}" ENTRY
	  "(?<s>[A-Za-z0-9+/]{10,160}+={0,3}+)[\"']?+",
	  0, 20, detect_user_password, SECRET_TAIL_TOKEN,
	  "value of a Kubernetes secret", "kubernetes.io/docs: secrets",
	  "apiVersion: v1\nkind: Secret\ndata:\n  k0: YWJj\n  k1: YWJj\n  k2: YWJj\n  token: "
	  "30MH12zJSRI00jB3iNy5a0KL\n" },
	{ "secret.kubernetes_secret", 1, "data:",
	  "(?i)(?<![A-Za-z])data:[ \\t]{0,20}+" ENTRY "(?<s>[A-Za-z0-9+/]{10,160}+={0,3}+)"
	  "[\"']?+(?=(?:[^-]|-[^-]){0,120}?\\bkind:[ \\t]{0,4}[\"']?secret\\b)",
	  0, 20, detect_user_password, SECRET_TAIL_TOKEN,
	  "value of a Kubernetes secret", "kubernetes.io/docs: secrets",
	  "data:\n  token: " "P1Z9kmRprEL1BH9tA0mFjypN\nkind: Secret\nmetadata:\n" },
	{ "secret.kubernetes_secret", 1, "data:",
	  "(?i)(?<![A-Za-z])data:[ \\t]{0,20}+(?:" PASSED "){1}" ENTRY "(?<s>[A-Za-z0-9+/]{10,"
	  "160}+={0,3}+)[\"']?+(?=(?:[^-]|-[^-]){0,120}?\\bkind:[ \\t]{0,4}[\"']?secret\\b)",
	  0, 20, detect_user_password, SECRET_TAIL_TOKEN,
	  "value of a Kubernetes secret", "kubernetes.io/docs: secrets",
	  "data:\n  k0: YWJj\n  token: " "3MuOE1YEGigOhB3L0gd6f9jo\nkind: Secret\nmetadata:\n"
	  "  k0: YWJj\n" },
	{ "secret.kubernetes_secret", 1, "data:",
	  "(?i)(?<![A-Za-z])data:[ \\t]{0,20}+(?:" PASSED "){2}" ENTRY "(?<s>[A-Za-z0-9+/]{10,"
	  "160}+={0,3}+)[\"']?+(?=(?:[^-]|-[^-]){0,120}?\\bkind:[ \\t]{0,4}[\"']?secret\\b)",
	  0, 20, detect_user_password, SECRET_TAIL_TOKEN,
	  "value of a Kubernetes secret", "kubernetes.io/docs: secrets",
	  "data:\n  k0: YWJj\n  k1: YWJj\n  token: " "Bswssrs0bU7FLZPeLbu4o1BL\nkind: "
	  "Secret\nmetadata:\n  k0: YWJj\n  k1: YWJj\n" },
	{ "secret.kubernetes_secret", 1, "data:",
	  "(?i)(?<![A-Za-z])data:[ \\t]{0,20}+(?:" PASSED "){3}" ENTRY "(?<s>[A-Za-z0-9+/]{10,"
	  "160}+={0,3}+)[\"']?+(?=(?:[^-]|-[^-]){0,120}?\\bkind:[ \\t]{0,4}[\"']?secret\\b)",
	  0, 20, detect_user_password, SECRET_TAIL_TOKEN,
	  "value of a Kubernetes secret", "kubernetes.io/docs: secrets",
	  "data:\n  k0: YWJj\n  k1: YWJj\n  k2: YWJj\n  token: " "TTcU/ECFGeuAp0CoOM0zRfjt\nki"
	  "nd: Secret\nmetadata:\n  k0: YWJj\n  k1: YWJj\n  k2: YWJj\n" },
	{ NULL, 0, NULL, NULL, 0, 0, NULL, SECRET_TAIL_NONE, NULL, NULL, NULL },
};
