#include "flow/folder.h"
#include "base/limits.h"
#include "base/text.h"
#include "model/tensors.h"
#include "signing/release.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
/* Looked for in the last component of a path, whatever the case: variables; keys of SSH; files of
 * tools that hold passwords; of clouds; stores of keys. */
static const char *const secret_names[] = {
	".env", ".env.*", "*.env", ".envrc",
	"id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk",
	".netrc", "_netrc", ".git-credentials", ".npmrc", ".pypirc", ".pgpass", ".my.cnf",
	".dockercfg", ".htpasswd", ".s3cfg", ".boto", ".vault-token", ".terraformrc", "*.tfstate",
	"token", "stored_tokens", "kaggle.json", "credentials", "credentials.json",
	"credentials.toml", "client_secret*.json", "application_default_credentials.json",
	"accesstokens.json", "secrets.json", "secrets.y*ml", "secrets.toml",
	"*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
};

/* Of a whole path, or of its end. */
static const char *const secret_paths[] = {
	".docker/config.json", ".kube/config", ".ssh/*", ".gnupg/*", ".config/gcloud/*",
};

/* Names of examples, which hold no secret. */
static const char *const example_names[] = {
	".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults",
	"example.env", "sample.env",
};

/* Files whose names say too little: what tells that they hold a secret. */
static const struct {
	const char *name, *text, *and;
} secret_contents[] = {
	{ "*.pem",  "PRIVATE KEY", "" },
	{ "*.key",  "PRIVATE KEY", "" },
	{ "*.key",  "secret key", "" }, /* minisign, signify, our own */
	{ "*.key",  "AGE-SECRET-KEY-", "" },
	{ "*.txt",  "AGE-SECRET-KEY-1", "" },
	{ "*.asc",  "PRIVATE KEY BLOCK", "" },
	{ "*.gpg",  "PRIVATE KEY BLOCK", "" },
	{ "*.json", "\"private_key\"", "\"service_account\"" },
};
#define SECRET_BYTES KIB(64) /* larger files are no keys */

static const char *const other_weights[] = {
	"*.gguf", "*.ggml", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.onnx", "*.onnx_data",
	"*.onnx.data", "*.h5", "*.msgpack", "*.npz", "*.tflite", "*.pb", "*.mlmodel", "*.pkl",
};
/* clang-format on */

#define ROOM(list) (sizeof(list) / sizeof *(list))

static bool matches(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (fnmatch(list[i], name, FNM_CASEFOLD) == 0)
			return true;
	return false;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool matches_path(const char *name)
{
	for (const char *end = name; end; end = strchr(end, '/')) {
		end += *end == '/';
		for (size_t i = 0; i < ROOM(secret_paths); i++)
			if (fnmatch(secret_paths[i], end, FNM_CASEFOLD) == 0)
				return true;
	}
	return false;
}

static bool holds(const struct buf *b, const char *text)
{
	return !*text || (b->len && memmem(b->bytes, b->len, text, strlen(text)));
}

int flow_folder_is_secret(struct source *of, const char *name, bool *secret, struct err *e)
{
	const char *last = last_part(name);
	struct buf b = { 0 };
	bool read = false;
	int rc = 0;
	*secret = !matches(example_names, ROOM(example_names), last) &&
		  (matches(secret_names, ROOM(secret_names), last) || matches_path(name));
	for (size_t i = 0; !*secret && rc == 0 && i < ROOM(secret_contents); i++) {
		uint64_t bytes = 0;
		if (fnmatch(secret_contents[i].name, last, FNM_CASEFOLD) != 0)
			continue;
		if (!read)
			rc = source_size(of, name, &bytes, e);
		if (rc == 0 && !read && bytes <= SECRET_BYTES)
			rc = source_read_file(of, name, SECRET_BYTES, &b, e);
		read = true;
		*secret = rc == 0 && b.len && holds(&b, secret_contents[i].text) &&
			  holds(&b, secret_contents[i].and);
	}
	buf_free(&b);
	return rc;
}

/* Paths that are ignored stand together in the list of files. */
static void add_ignored(json_t *list, const char *name, size_t len)
{
	const char *before = json_string_value(json_array_get(list, json_array_size(list) - 1));
	if (!before || strlen(before) != len || strncmp(before, name, len) != 0)
		json_array_append_new(list, json_stringn(name, len));
}

/* Take "NAME-00002-of-00003.EXT" apart. False: not named so. */
static bool read_part(const char *name, int *stem, unsigned long *part, unsigned long *parts)
{
	static const char *const kinds[] = { ".safetensors", ".gguf", ".bin" };
	const char *at = NULL;
	bool known = false;
	for (const char *p = last_part(name); (p = strstr(p, "-of-")); p++)
		at = p;
	if (!at || at - last_part(name) < 6 || at[-6] != '-' ||
	    strspn(at - 5, "0123456789") != 5 || strspn(at + 4, "0123456789") != 5)
		return false;
	for (size_t i = 0; i < ROOM(kinds); i++)
		known = known || strcmp(at + 9, kinds[i]) == 0;
	*stem = (int)(at - name) - 5;
	*part = strtoul(at - 5, NULL, 10);
	*parts = strtoul(at + 4, NULL, 10);
	return known && *part >= 1 && *part <= *parts;
}

/* The next part, counted in a circle, must be there: so none is missing where each was asked. */
static int check_parts(struct source *of, const char *name, struct err *e)
{
	char next[LIMIT_PATH_BYTES + 8];
	unsigned long part, parts;
	uint64_t bytes;
	int stem;
	if (!read_part(name, &stem, &part, &parts))
		return 0;
	snprintf(next, sizeof next, "%.*s%05lu%s", stem, name, part % parts + 1, name + stem + 5);
	int rc = source_size(of, next, &bytes, e);
	return rc == ERR_NOTFOUND ? err_set(e, ERR_INPUT, "%s/%.200s: this part is missing",
					    of->label, next)
				  : rc;
}

static int look_at(struct source *of, const struct file_entry *f, struct flow_folder *out,
		   struct err *e)
{
	bool pointer = false, secret = false;
	size_t ignored = signing_ignored(f->name);
	if (ignored) {
		if (strcmp(f->name, SIGNING_BUNDLE) != 0)
			add_ignored(out->ignored, f->name, ignored);
		return 0;
	}
	TRY(source_entry_check(of, f, e));
	TRY(source_is_pointer(of, f->name, &pointer, e));
	if (pointer)
		return err_set(e, ERR_INPUT, "%s/%.200s: " SOURCE_POINTER, of->label, f->name);
	TRY(flow_folder_is_secret(of, f->name, &secret, e));
	if (secret)
		json_array_append_new(out->secrets, json_text_lossy(f->name));
	TRY(check_parts(of, f->name, e));
	if (text_ends(f->name, ".safetensors"))
		json_array_append_new(out->tensors, json_string(f->name));
	if (matches(other_weights, ROOM(other_weights), last_part(f->name)))
		json_array_append_new(out->whole, json_text_lossy(f->name));
	return 0;
}

int flow_folder_look(struct source *of, struct flow_folder *out, struct err *e)
{
	static const char *const skip[] = { ".git", SIGNING_CHUNKS, SIGNING_TENSORS };
	struct file_tree t = { 0 };
	int rc = 0;
	*out = (struct flow_folder){ json_array(), json_array(), json_array(), json_array() };
	TRY_OUT(json_ok(out->ignored, e));
	TRY_OUT(json_ok(out->secrets, e));
	TRY_OUT(json_ok(out->tensors, e));
	TRY_OUT(json_ok(out->whole, e));
	TRY_OUT(source_list(of, skip, ROOM(skip), &t, e));
	for (size_t i = 0; i < t.count; i++)
		TRY_OUT(look_at(of, &t.entry[i], out, e));
out:
	file_tree_free(&t);
	if (rc < 0)
		flow_folder_free(out);
	return rc;
}

/* What the index says must be so, where there is one. */
static int check_index(struct source *of, struct err *e)
{
	struct model_tensors *t = NULL;
	uint64_t bytes;
	if (source_size(of, "model.safetensors.index.json", &bytes, NULL) < 0)
		return 0;
	int rc = model_tensors_open(&t, of, e);
	model_tensors_close(t);
	return rc;
}

int flow_folder_tensors(struct source *of, const struct flow_folder *l, struct model_tensors **out,
			struct err *e)
{
	size_t count = json_array_size(l->tensors);
	const char **file = calloc(count + 1, sizeof *file);
	*out = NULL;
	if (!file)
		return err_set(e, ERR_NOMEM, "out of memory for a list of files");
	for (size_t i = 0; i < count; i++)
		file[i] = json_string_value(json_array_get(l->tensors, i));
	int rc = check_index(of, e);
	if (rc == 0)
		rc = model_tensors_of(out, of, file, count, e);
	free(file);
	return rc;
}

void flow_folder_free(struct flow_folder *l)
{
	json_decref(l->ignored);
	json_decref(l->secrets);
	json_decref(l->tensors);
	json_decref(l->whole);
	*l = (struct flow_folder){ 0 };
}
