/* A release bundle from anywhere, read without a key and with one; and the input as the statement within a
 * bundle. What is read without a key has its files sorted and unlike; a fresh key never accepts it. */
#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "signing/release.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Some key; made once. */
static const struct signing_public *some_key(void)
{
	static struct signing_public key;
	char dir[] = "/tmp/hallmark-fuzz-XXXXXX", path[64];
	if (key.has_p256)
		return &key;
	struct random_seeded seed = {.counter = 0};
	int64_t now = 0;
	struct env env = env_system();
	env.random = random_seeded(&seed);
	env.clock = clock_fixed(&now);
	check(mkdtemp(dir));
	check(signing_identity_create(dir, "k", NULL, &env, NULL) == 0);
	snprintf(path, sizeof path, "%s/k.pub", dir);
	check(signing_public_read(path, &key, NULL) == 0);
	unlink(path);
	snprintf(path, sizeof path, "%s/k.key", dir);
	unlink(path);
	rmdir(dir);
	return &key;
}

static void check_bundle(const void *bytes, size_t len)
{
	struct signing_manifest m;
	struct err e = {0};
	check(signing_bundle_open(bytes, len, some_key(), &m, &e) < 0 && e.code < 0);
	if (signing_bundle_open(bytes, len, NULL, &m, &e) < 0)
		return;
	check(m.file_count > 0 && m.file_count <= LIMIT_FILES && m.payload.len > 0);
	for (size_t i = 1; i < m.file_count; i++)
		check(strcmp(m.file[i - 1].name, m.file[i].name) < 0);
	for (size_t i = 0; i < m.file_count; i++)
		check(m.file[i].name[0] != '/' && !strstr(m.file[i].name, "//") && !m.file[i].leaf);
	signing_manifest_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct buf bundle = {0};
	check_bundle(bytes, len);
	buf_add_text(&bundle, "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\","
	                      "\"verificationMaterial\":{\"publicKey\":{\"hint\":\"\"}},"
	                      "\"dsseEnvelope\":{\"payload\":\"");
	text_base64(&bundle, bytes, len);
	buf_add_text(&bundle, "\",\"payloadType\":\"application/vnd.in-toto+json\","
	                      "\"signatures\":[{\"sig\":\"AAAA\"}]}}");
	check_bundle(bundle.bytes, bundle.len);
	buf_free(&bundle);
	return 0;
}
