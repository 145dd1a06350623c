#include "signing/ecdsa.h"
#include "base/check.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

#define POINT_BYTES 65 /* uncompressed, P-256 */

static const struct curve {
	const char *group, *scheme, *hash;
} curves[] = {
	{ "prime256v1", "ecdsa-sha2-nistp256", "SHA256" },
	{ "secp384r1", "ecdsa-sha2-nistp384", "SHA384" },
	{ "secp521r1", "ecdsa-sha2-nistp521", "SHA512" },
};

static int crypto_failed(struct err *e, const char *what)
{
	unsigned long code = ERR_get_error();
	ERR_clear_error();
	return err_set(e, ERR_IO, "%s: %s", what,
		       code ? ERR_reason_error_string(code) : "libcrypto failed");
}

bool signing_ecdsa_secret_valid(const uint8_t secret[ECDSA_SECRET_BYTES])
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	BIGNUM *n = BN_bin2bn(secret, ECDSA_SECRET_BYTES, NULL);
	check(group && n);
	bool valid = !BN_is_zero(n) && BN_cmp(n, EC_GROUP_get0_order(group)) < 0;
	BN_clear_free(n);
	EC_GROUP_free(group);
	return valid;
}

/* The point secret * G, uncompressed. */
static bool public_point(const BIGNUM *n, uint8_t out[POINT_BYTES])
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	bool ok = point && EC_POINT_mul(group, point, n, NULL, NULL, NULL) == 1 &&
		  EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out, POINT_BYTES,
				     NULL) == POINT_BYTES;
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return ok;
}

/* A key object for one use: libcrypto keeps no secret longer than that. NULL on failure. */
static EVP_PKEY *secret_key(const uint8_t secret[ECDSA_SECRET_BYTES])
{
	uint8_t point[POINT_BYTES];
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params = NULL;
	BIGNUM *n = BN_secure_new();
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!n || !build || !ctx || !BN_bin2bn(secret, ECDSA_SECRET_BYTES, n))
		goto out;
	BN_set_flags(n, BN_FLG_CONSTTIME);
	if (!public_point(n, point) ||
	    !OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[0].group,
					     0) ||
	    !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
					      sizeof point) ||
	    !OSSL_PARAM_BLD_push_BN_pad(build, OSSL_PKEY_PARAM_PRIV_KEY, n, ECDSA_SECRET_BYTES))
		goto out;
	params = OSSL_PARAM_BLD_to_param(build);
	if (!params || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		key = NULL;
out:
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_clear_free(n);
	return key;
}

static int write_pem(EVP_PKEY *key, char pem[ECDSA_PEM_ROOM], struct err *e)
{
	char *text = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	int result = 0;
	long len = bio && PEM_write_bio_PUBKEY(bio, key) == 1 ? BIO_get_mem_data(bio, &text) : 0;
	if (len <= 0)
		result = crypto_failed(e, "write a public key");
	else if (len >= ECDSA_PEM_ROOM)
		result = err_set(e, ERR_INPUT, "a public key of %ld bytes", len);
	else {
		memcpy(pem, text, (size_t)len);
		pem[len] = '\0';
	}
	BIO_free(bio);
	return result;
}

int signing_ecdsa_public(const uint8_t secret[ECDSA_SECRET_BYTES], char pem[ECDSA_PEM_ROOM],
			 struct err *e)
{
	EVP_PKEY *key = secret_key(secret);
	if (!key)
		return crypto_failed(e, "derive an ECDSA public key");
	int result = write_pem(key, pem, e);
	EVP_PKEY_free(key);
	return result;
}

int signing_ecdsa_sign(const uint8_t secret[ECDSA_SECRET_BYTES], const void *bytes, size_t len,
		       struct buf *out, struct err *e)
{
	uint8_t signature[80];
	size_t signature_len = sizeof signature;
	EVP_PKEY *key = secret_key(secret);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int result = 0;
	if (!key || !ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) <= 0 ||
	    EVP_DigestSign(ctx, signature, &signature_len, bytes, len) <= 0)
		result = crypto_failed(e, "sign with ECDSA");
	else
		buf_add(out, signature, signature_len);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return result;
}

/* Public keys are never encrypted; without this, libcrypto would ask the terminal. */
static int no_password(char *out, int size, int rwflag, void *arg)
{
	(void)out, (void)size, (void)rwflag, (void)arg;
	return 0;
}

static int parse(const char *text, size_t len, EVP_PKEY **key, struct err *e)
{
	BIO *bio = len <= 8192 ? BIO_new_mem_buf(text, (int)len) : NULL;
	*key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	return *key ? 0 : err_set(e, ERR_INPUT, "not a public key in PEM");
}

static int curve_of(EVP_PKEY *key, const struct curve **out, struct err *e)
{
	char group[64] = "?";
	size_t len = 0;
	const char *kind = EVP_PKEY_get0_type_name(key);
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: %s keys",
			       kind ? kind : "unnamed");
	if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
					   &len) == 1)
		for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
			if (strcmp(group, curves[i].group) == 0) {
				*out = &curves[i];
				return 0;
			}
	ERR_clear_error();
	return err_set(e, ERR_UNSUPPORTED, "not available in this version: the curve %s", group);
}

int signing_ecdsa_read(const char *text, size_t len, char pem[ECDSA_PEM_ROOM], const char **scheme,
		       uint8_t ed25519[32], struct err *e)
{
	EVP_PKEY *key = NULL;
	const struct curve *curve = NULL;
	size_t raw = 32;
	TRY(parse(text, len, &key, e));
	int result = 0;
	*scheme = NULL;
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		if (EVP_PKEY_get_raw_public_key(key, ed25519, &raw) != 1 || raw != 32)
			result = crypto_failed(e, "read an Ed25519 public key");
	} else {
		result = curve_of(key, &curve, e);
		if (result == 0) {
			*scheme = curve->scheme;
			result = write_pem(key, pem, e);
		}
	}
	EVP_PKEY_free(key);
	return result;
}

int signing_ecdsa_scheme(const char *pem, const char **scheme, struct err *e)
{
	char again[ECDSA_PEM_ROOM];
	uint8_t ed25519[32];
	TRY(signing_ecdsa_read(pem, strlen(pem), again, scheme, ed25519, e));
	return *scheme ? 0 : err_set(e, ERR_INPUT, "expected an ECDSA public key, found Ed25519");
}

int signing_ecdsa_check(const char *pem, const void *bytes, size_t len, const void *signature,
			size_t signature_len, struct err *e)
{
	EVP_PKEY *key = NULL;
	const struct curve *curve = NULL;
	TRY(parse(pem, strlen(pem), &key, e));
	int result = curve_of(key, &curve, e);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (result == 0 &&
	    (!ctx ||
	     EVP_DigestVerifyInit(ctx, NULL, EVP_get_digestbyname(curve->hash), NULL, key) <= 0))
		result = crypto_failed(e, "check an ECDSA signature");
	if (result == 0 && EVP_DigestVerify(ctx, signature, signature_len, bytes, len) != 1)
		result = err_set(e, ERR_VERIFY, "the signature is not by this key");
	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return result;
}
