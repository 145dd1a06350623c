/* What the tensors of many families are called. A name is cut into the stack of layers, the layer's
 * number, the holder and the slot, each by itself, so that any prefix goes with any network:
 *
 *   model.language_model.layers . 3 . mlp.experts.7 . gate_proj . weight
 *   stack                         layer  holder       slot        (dropped) */
#include "base/text.h"
#include "forks/roles_in.h"

#include <string.h>

/* Where a slot's name counts. */
enum where { ANY, ATTENTION, NETWORK };

struct row {
	const char *name; /* the last components */
	enum role_slot slot;
	enum where where;
	enum role_holder kind; /* HOLDER_ONE: what the holder says */
};

/* Longer names before those that they end in. */
static const struct row rows[] = {
	/* clang-format off */
	/* networks */
	{ "gate_proj", SLOT_GATE, NETWORK, 0 }, { "up_proj", SLOT_UP, NETWORK, 0 },
	{ "down_proj", SLOT_DOWN, NETWORK, 0 }, { "gate_up_proj", SLOT_IN, NETWORK, 0 },
	{ "gate_and_up_proj", SLOT_IN, NETWORK, 0 }, { "gate_up", SLOT_IN, NETWORK, 0 },
	{ "w1", SLOT_W1, NETWORK, 0 }, { "w2", SLOT_W2, NETWORK, 0 }, { "w3", SLOT_W3, NETWORK, 0 },
	{ "v1", SLOT_V1, NETWORK, 0 }, { "w12", SLOT_IN, NETWORK, 0 }, { "w13", SLOT_IN, NETWORK, 0 },
	{ "linear_v", SLOT_V1, NETWORK, 0 }, { "linear_1", SLOT_W2, NETWORK, 0 },
	{ "linear", SLOT_W1, NETWORK, 0 },
	{ "wi_0", SLOT_GATE, NETWORK, 0 }, { "wi_1", SLOT_UP, NETWORK, 0 },
	{ "wi", SLOT_IN, NETWORK, 0 }, { "wo", SLOT_DOWN, NETWORK, 0 },
	{ "Wi", SLOT_IN, NETWORK, 0 }, { "Wo", SLOT_DOWN, NETWORK, 0 },
	{ "c_fc_0", SLOT_GATE, NETWORK, 0 }, { "c_fc_1", SLOT_UP, NETWORK, 0 },
	{ "c_fc2", SLOT_GATE, NETWORK, 0 }, { "c_fc", SLOT_IN, NETWORK, 0 },
	{ "c_proj", SLOT_DOWN, NETWORK, 0 },
	{ "dense_h_to_4h", SLOT_IN, NETWORK, 0 }, { "dense_4h_to_h", SLOT_DOWN, NETWORK, 0 },
	{ "linear_fc1", SLOT_IN, NETWORK, 0 }, { "linear_fc2", SLOT_DOWN, NETWORK, 0 },
	{ "fc11", SLOT_UP, NETWORK, 0 }, { "fc12", SLOT_GATE, NETWORK, 0 },
	{ "fc1", SLOT_IN, NETWORK, 0 }, { "fc2", SLOT_DOWN, NETWORK, 0 },
	{ "fc0", SLOT_UP, NETWORK, 0 }, { "fc_in", SLOT_IN, NETWORK, 0 },
	{ "fc_out", SLOT_DOWN, NETWORK, 0 },
	{ "fc_1", SLOT_GATE, NETWORK, 0 }, { "fc_2", SLOT_UP, NETWORK, 0 },
	{ "fc", SLOT_IN, NETWORK, 0 }, { "proj", SLOT_DOWN, NETWORK, 0 },
	{ "lin1", SLOT_IN, NETWORK, 0 }, { "lin2", SLOT_DOWN, NETWORK, 0 },
	{ "linear1", SLOT_IN, NETWORK, 0 }, { "linear2", SLOT_DOWN, NETWORK, 0 },
	{ "intermediate.dense", SLOT_IN, NETWORK, 0 }, { "output.dense", SLOT_DOWN, NETWORK, 0 },
	{ "input_linear", SLOT_IN, NETWORK, 0 }, { "output_linear", SLOT_DOWN, NETWORK, 0 },
	{ "ff_proj", SLOT_IN_UP_FIRST, NETWORK, 0 }, { "ff_out", SLOT_DOWN, NETWORK, 0 },
	{ "gate_up_proj_bias", SLOT_IN_BIAS, ANY, 0 },
	{ "in_proj", SLOT_INTO, NETWORK, 0 }, { "out_proj", SLOT_OUT_OF, NETWORK, 0 },
	{ "ssm_in", SLOT_INTO, ANY, 0 }, { "ssm_out", SLOT_OUT_OF, ANY, 0 },
	{ "shortconv.in_proj", SLOT_INTO, ANY, 0 }, { "shortconv.out_proj", SLOT_OUT_OF, ANY, 0 },
	/* routers */
	{ "gate.wg", SLOT_ROUTER, NETWORK, 0 }, { "router.layer", SLOT_ROUTER, NETWORK, 0 },
	{ "router.classifier", SLOT_ROUTER, NETWORK, 0 }, { "router.proj", SLOT_ROUTER, NETWORK, 0 },
	{ "router.gate", SLOT_ROUTER, NETWORK, 0 }, { "router", SLOT_ROUTER, NETWORK, 0 },
	{ "gate", SLOT_ROUTER, NETWORK, 0 },
	/* of GGUF */
	{ "ffn_gate_up_exps", SLOT_IN, ANY, HOLDER_STACK },
	{ "ffn_gate_exps", SLOT_GATE, ANY, HOLDER_STACK }, { "ffn_up_exps", SLOT_UP, ANY, HOLDER_STACK },
	{ "ffn_down_exps", SLOT_DOWN, ANY, HOLDER_STACK },
	{ "ffn_gate_shexp", SLOT_GATE, ANY, HOLDER_SHARED },
	{ "ffn_up_shexp", SLOT_UP, ANY, HOLDER_SHARED },
	{ "ffn_down_shexp", SLOT_DOWN, ANY, HOLDER_SHARED },
	{ "ffn_gate_inp", SLOT_ROUTER, ANY, 0 }, { "ffn_gate", SLOT_GATE, ANY, 0 },
	{ "ffn_up", SLOT_IN, ANY, 0 }, { "ffn_down", SLOT_DOWN, ANY, 0 },
	{ "attn_q", SLOT_Q, ANY, 0 }, { "attn_q_b", SLOT_Q, ANY, 0 }, { "attn_k", SLOT_K, ANY, 0 },
	{ "attn_v", SLOT_V, ANY, 0 },
	{ "attn_qkv", SLOT_QKV, ANY, 0 }, { "attn_output", SLOT_O, ANY, 0 },
	{ "attn_kv_a_mqa", SLOT_KV_A, ANY, 0 }, { "attn_kv_b", SLOT_KV_B, ANY, 0 },
	{ "attn_k_b", SLOT_K_B, ANY, 0 }, { "attn_v_b", SLOT_V_B, ANY, 0 },
	{ "attn_q_norm", SLOT_HEAD_NORM, ANY, 0 },
	{ "ffn_norm", SLOT_NORM_FFN, ANY, 0 },
	{ "post_attention_norm", SLOT_NORM_AFTER_ATTENTION, ANY, 0 },
	{ "post_ffw_norm", SLOT_NORM_AFTER_FFN, ANY, 0 },
	/* attention */
	{ "q_proj", SLOT_Q, ANY, 0 }, { "q_b_proj", SLOT_Q, ANY, 0 }, { "k_proj", SLOT_K, ANY, 0 },
	{ "v_proj", SLOT_V, ANY, 0 },
	{ "o_proj", SLOT_O, ANY, 0 }, { "out_proj", SLOT_O, ATTENTION, 0 },
	{ "wq", SLOT_Q, ANY, 0 }, { "wk", SLOT_K, ANY, 0 }, { "wv", SLOT_V, ANY, 0 },
	{ "wo", SLOT_O, ATTENTION, 0 }, { "Wo", SLOT_O, ATTENTION, 0 },
	{ "q_lin", SLOT_Q, ANY, 0 }, { "k_lin", SLOT_K, ANY, 0 }, { "v_lin", SLOT_V, ANY, 0 },
	{ "out_lin", SLOT_O, ATTENTION, 0 },
	{ "self.query", SLOT_Q, ANY, 0 }, { "self.key", SLOT_K, ANY, 0 },
	{ "self.value", SLOT_V, ANY, 0 },
	{ "attention.query", SLOT_Q, ATTENTION, 0 }, { "attention.key", SLOT_K, ATTENTION, 0 },
	{ "attention.value", SLOT_V, ATTENTION, 0 },
	{ "query", SLOT_Q, ATTENTION, 0 }, { "key", SLOT_K, ATTENTION, 0 },
	{ "value", SLOT_V, ATTENTION, 0 },
	{ "q", SLOT_Q, ATTENTION, 0 }, { "k", SLOT_K, ATTENTION, 0 }, { "v", SLOT_V, ATTENTION, 0 },
	{ "o", SLOT_O, ATTENTION, 0 },
	{ "output.dense", SLOT_O, ATTENTION, 0 }, { "dense", SLOT_O, ATTENTION, 0 },
	{ "c_proj", SLOT_O, ATTENTION, 0 }, { "proj", SLOT_O, ATTENTION, 0 },
	{ "attn_out", SLOT_O, ANY, 0 }, { "linear_proj", SLOT_O, ATTENTION, 0 },
	{ "projection_layer", SLOT_O, ATTENTION, 0 },
	{ "linear", SLOT_O, ATTENTION, 0 },
	{ "to_q", SLOT_Q, ANY, 0 }, { "to_k", SLOT_K, ANY, 0 }, { "to_v", SLOT_V, ANY, 0 },
	{ "to_out", SLOT_O, ANY, 0 },
	{ "qkv_proj", SLOT_QKV, ANY, 0 }, { "q_k_v", SLOT_QKV, ANY, 0 }, { "Wqkv", SLOT_QKV, ANY, 0 },
	{ "qkv", SLOT_QKV, ANY, 0 }, { "W_pack", SLOT_QKV, ANY, 0 }, { "c_attn", SLOT_QKV, ANY, 0 },
	{ "att_proj", SLOT_QKV, ANY, 0 }, { "in_proj_weight", SLOT_QKV, ATTENTION, 0 },
	{ "wqkv", SLOT_QKV_GROUPED, ANY, 0 }, { "linear_qkv", SLOT_QKV_GROUPED, ANY, 0 },
	{ "attn", SLOT_QKV_GROUPED, ATTENTION, 0 },
	{ "query_key_value", SLOT_QKV_BY_FAMILY, ANY, 0 },
	{ "kv_proj", SLOT_KV, ANY, 0 },
	{ "kv_a_proj_with_mqa", SLOT_KV_A, ANY, 0 }, { "kv_b_proj", SLOT_KV_B, ANY, 0 },
	{ "k_b_proj", SLOT_K_B, ANY, 0 }, { "v_b_proj", SLOT_V_B, ANY, 0 },
	/* of q alone: OLMo's of k is as long as all heads, which may be one of q's widths */
	{ "q_norm", SLOT_HEAD_NORM, ANY, 0 }, { "q_layernorm", SLOT_HEAD_NORM, ANY, 0 },
	{ "query_layernorm", SLOT_HEAD_NORM, ANY, 0 }, { "o_norm", SLOT_HEAD_NORM, ANY, 0 },
	{ "inv_freq", SLOT_FREQUENCIES, ANY, 0 }, { "rope.freqs", SLOT_FREQUENCIES, ANY, 0 },
	/* norms of a layer */
	{ "input_layernorm", SLOT_NORM_IN, ANY, 0 },
	{ "pre_self_attn_layernorm", SLOT_NORM_IN, ANY, 0 }, { "attention_norm", SLOT_NORM_IN, ANY, 0 },
	{ "attention_layernorm", SLOT_NORM_IN, ANY, 0 }, { "attn_norm", SLOT_NORM_IN, ANY, 0 },
	{ "mlp_norm", SLOT_NORM_FFN, ANY, 0 }, { "ln_attn", SLOT_NORM_IN, ANY, 0 },
	{ "self_attn_layer_norm", SLOT_NORM_IN, ANY, 0 }, { "layernorm_before", SLOT_NORM_IN, ANY, 0 },
	{ "ln_1", SLOT_NORM_IN, ANY, 0 }, { "ln1", SLOT_NORM_IN, ANY, 0 },
	{ "norm_1", SLOT_NORM_IN, ANY, 0 }, { "norm1", SLOT_NORM_IN, ANY, 0 },
	{ "layer_norm1", SLOT_NORM_IN, ANY, 0 }, { "layer.0.layer_norm", SLOT_NORM_IN, ANY, 0 },
	{ "operator_norm", SLOT_NORM_IN, ANY, 0 }, { "temporal_pre_norm", SLOT_NORM_IN, ANY, 0 },
	{ "post_attention_layernorm", SLOT_NORM_AFTER_ATTENTION, ANY, 0 },
	{ "pre_feedforward_layernorm", SLOT_NORM_FFN, ANY, 0 },
	{ "pre_feedforward_layernorm_2", SLOT_NORM_EXPERTS, ANY, 0 },
	{ "post_feedforward_layernorm", SLOT_NORM_AFTER_FFN, ANY, 0 },
	{ "feedforward_layernorm", SLOT_NORM_FFN, ANY, 0 }, { "pre_ff_layernorm", SLOT_NORM_FFN, ANY, 0 },
	{ "pre_mlp_layernorm", SLOT_NORM_FFN, ANY, 0 }, { "channel_pre_norm", SLOT_NORM_FFN, ANY, 0 },
	{ "ln_mlp", SLOT_NORM_FFN, ANY, 0 }, { "ff_norm", SLOT_NORM_FFN, ANY, 0 },
	{ "final_layer_norm", SLOT_NORM_FFN, ANY, 0 }, { "layernorm_after", SLOT_NORM_FFN, ANY, 0 },
	{ "ln_2", SLOT_NORM_FFN, ANY, 0 }, { "ln2", SLOT_NORM_FFN, ANY, 0 },
	{ "norm_2", SLOT_NORM_FFN, ANY, 0 }, { "norm2", SLOT_NORM_FFN, ANY, 0 },
	{ "layer_norm2", SLOT_NORM_FFN, ANY, 0 }, { "layer.1.layer_norm", SLOT_NORM_FFN, ANY, 0 },
	{ "layer.2.layer_norm", SLOT_NORM_FFN, ANY, 0 },
	{ "rms_norm", SLOT_NORM_IN, ANY, 0 }, { "rms_norm_2", SLOT_NORM_FFN, ANY, 0 },
	{ "rms_norm_3", SLOT_NORM_AFTER_FFN, ANY, 0 },
	/* layers that only predict further ahead */
	{ "eh_proj", SLOT_DRAFT, ANY, 0 }, { "enorm", SLOT_DRAFT, ANY, 0 },
	{ "hnorm", SLOT_DRAFT, ANY, 0 },
	/* of no layer */
	{ "embed_tokens", SLOT_EMBEDDING, ANY, 0 }, { "tok_embeddings", SLOT_EMBEDDING, ANY, 0 },
	{ "token_embd", SLOT_EMBEDDING, ANY, 0 }, { "wte", SLOT_EMBEDDING, ANY, 0 },
	{ "embed_in", SLOT_EMBEDDING, ANY, 0 }, { "word_embeddings", SLOT_EMBEDDING, ANY, 0 },
	{ "tok_embed", SLOT_EMBEDDING, ANY, 0 }, { "embeddings", SLOT_EMBEDDING, ANY, 0 },
	{ "embedding", SLOT_EMBEDDING, ANY, 0 },
	{ "token_embedding", SLOT_EMBEDDING, ANY, 0 }, { "shared", SLOT_EMBEDDING, ANY, 0 },
	{ "lm_head", SLOT_END, ANY, 0 }, { "output", SLOT_END, ANY, 0 },
	{ "embed_out", SLOT_END, ANY, 0 }, { "norm", SLOT_END, ANY, 0 },
	{ "output_norm", SLOT_END, ANY, 0 }, { "final_layernorm", SLOT_END, ANY, 0 },
	{ "final_layer_norm", SLOT_END, ANY, 0 }, { "ln_f", SLOT_END, ANY, 0 },
	{ "norm_f", SLOT_END, ANY, 0 }, { "wpe", SLOT_END, ANY, 0 },
	/* clang-format on */
};

/* clang-format off */
static const char *const layer_words[] = {
	"layers", "layer", "h", "blk", "blocks", "block", "resblocks", "groups", "encoders",
	"decoders", "encoder_layers", "decoder_layers", "decoder_layer", NULL
};
static const char *const expert_words[] = {
	"experts", "expert", "moe", "local_experts", "routed_experts", "shared_experts",
	"shared_expert", NULL
};
static const char *const attention_words[] = {
	"attn", "attention", "self_attn", "self_attention", "mha", "SelfAttention",
	"multi_head_attention", "attentions", "attn1", "self_attention_block", NULL
};
static const char *const cross_words[] = {
	"cross_attn", "EncDecAttention", "encoder_attn", "crossattention", "cross_attention", "attn2",
	NULL
};
/* Recurrences and indexers: their projections are of other spaces. */
static const char *const other_words[] = {
	"linear_attn", "mamba", "ssm", "indexer", "compressor", "rg_lru", "time_mix", NULL
}; /* clang-format on */

/* Prefixes that say what a part is for: whole components, or a part of one. */
static const struct {
	const char *word;
	bool whole, audio;
	enum fork_component component;
} parts[] = {
	/* clang-format off */
	{ "mtp", true, false, FORK_DRAFT }, { "mtp_", false, false, FORK_DRAFT },
	{ "nextn", false, false, FORK_DRAFT }, { "eagle", false, false, FORK_DRAFT },
	{ "medusa", false, false, FORK_DRAFT }, { "draft", false, false, FORK_DRAFT },
	{ "speculator", false, false, FORK_DRAFT },
	{ "audio", false, true, FORK_TOWER }, { "speech", false, true, FORK_TOWER },
	{ "whisper", false, true, FORK_TOWER }, { "talker", true, true, FORK_TOWER },
	{ "code2wav", false, true, FORK_TOWER }, { "token2wav", false, true, FORK_TOWER },
	{ "vision", false, false, FORK_TOWER }, { "visual", false, false, FORK_TOWER },
	{ "image", false, false, FORK_TOWER }, { "img_", false, false, FORK_TOWER },
	{ "vit", true, false, FORK_TOWER }, { "vpm", true, false, FORK_TOWER },
	{ "apm", true, true, FORK_TOWER }, { "tower", false, false, FORK_TOWER },
	{ "projector", false, false, FORK_TOWER }, { "connector", false, false, FORK_TOWER },
	{ "multi_modal", false, false, FORK_TOWER }, { "multimodal", false, false, FORK_TOWER },
	{ "mm_", false, false, FORK_TOWER }, { "merger", false, false, FORK_TOWER },
	{ "resampler", false, false, FORK_TOWER }, { "qformer", false, false, FORK_TOWER },
	{ "perceiver", false, false, FORK_TOWER }, { "aligner", false, false, FORK_TOWER },
	{ "abstractor", false, false, FORK_TOWER }, { "siglip", false, false, FORK_TOWER },
	{ "sam_model", true, false, FORK_TOWER }, { "vqmodel", false, false, FORK_TOWER },
	{ "mlp1", true, false, FORK_TOWER }, { "patch", false, false, FORK_TOWER },
}; /* clang-format on */

static bool is_among(const char *s, size_t len, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == len && memcmp(s, *words, len) == 0)
			return true;
	return false;
}

/* Whether a component of the path is one of the words. */
static bool has_among(const char *path, const char *const *words)
{
	while (*path) {
		size_t len = strcspn(path, ".");

		if (is_among(path, len, words))
			return true;
		path += len + (path[len] == '.');
	}
	return false;
}

enum fork_component fork_role_component(const char *prefix, bool *audio)
{
	*audio = false;
	for (const char *p = prefix; *p;) {
		size_t len = strcspn(p, ".");

		for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
			const char *at = strstr(p, parts[i].word);
			size_t n = strlen(parts[i].word);

			if (!at || at + n > p + len || (parts[i].whole && (at != p || n != len)))
				continue;
			*audio = parts[i].audio;
			return parts[i].component;
		}
		p += len + (p[len] == '.');
	}
	return FORK_BODY;
}

/* A component that is a number; one too large is the largest that there is. */
static bool is_number(const char *s, size_t len, uint32_t *out)
{
	uint32_t v = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v < 100000000 ? 10 * v + (uint32_t)(s[i] - '0') : v;
	}
	*out = v < ROLE_NONE - 1 ? v : ROLE_NONE - 1;
	return len > 0;
}

/* Whether a component is a word for layers with its number: "layers_3". *word: its length. */
static bool is_joined(const char *s, size_t len, size_t *word, uint32_t *out)
{
	size_t digits = len;

	while (digits > 0 && s[digits - 1] >= '0' && s[digits - 1] <= '9')
		digits--;
	*word = digits > 0 && s[digits - 1] == '_' ? digits - 1 : digits;
	return is_among(s, *word, layer_words) && is_number(s + digits, len - digits, out);
}

/* Cut the layer's number out: the first one behind a word for layers, else the first that is not
 * an expert's. Returns what follows it; the name itself where there is none. */
static char *cut_layer(char *name, struct role_piece *out)
{
	char *cut = NULL, *tail = name;
	size_t before = 0; /* length of the component before */

	out->layer = ROLE_NONE;
	for (char *p = name; *p;) {
		size_t len = strcspn(p, "."), word;
		uint32_t n;
		bool number = is_number(p, len, &n);
		const char *last = p - before - 1;
		bool known = number && before > 0 && is_among(last, before, layer_words);
		bool joined = !number && is_joined(p, len, &word, &n);

		if (joined || known ||
		    (number && !cut && !(before > 0 && is_among(last, before, expert_words)))) {
			out->layer = n;
			cut = joined ? p + word : p;
			tail = p + len + (p[len] == '.');
		}
		if (joined || known)
			break;
		before = len;
		p += len + (p[len] == '.');
	}
	out->stack = "";
	if (!cut)
		return name;
	if (cut > name && cut[-1] == '.')
		cut--;
	*cut = '\0';
	out->stack = cut > name ? name : "";
	return tail;
}

/* The first number anywhere: "enc3_ff_in" is layer 3 of "enc". */
static char *cut_anywhere(char *name, struct role_piece *out)
{
	char *digits = name + strcspn(name, "0123456789");
	size_t len = strspn(digits, "0123456789"), before = (size_t)(digits - name);
	char *tail = digits + len;

	if (!is_number(digits, len, &out->layer)) {
		out->layer = ROLE_NONE;
		return name;
	}
	tail += strspn(tail, "._-");
	while (before > 0 && strchr("._-", name[before - 1]))
		before--;
	*digits = '\0';
	name[before] = '\0';
	out->stack = name;
	return tail;
}

/* Drop a component at the end. */
static bool drop_end(char *name, const char *end)
{
	if (!text_ends(name, end))
		return false;
	name[strlen(name) - strlen(end)] = '\0';
	return true;
}

/* What the holder is of, by its words; the expert's number. */
static void holder_kind(struct role_piece *p)
{
	bool experts = false, shared = false;
	uint32_t n = ROLE_NONE;

	for (const char *s = p->holder; *s;) {
		size_t len = strcspn(s, ".");
		uint32_t v;

		if (experts && n == ROLE_NONE && is_number(s, len, &v))
			n = v;
		else if (experts && n == ROLE_NONE && len > 7 && memcmp(s, "expert_", 7) == 0 &&
			 is_number(s + 7, len - 7, &v))
			n = v;
		experts = experts || is_among(s, len, expert_words) ||
			  (len == 16 && memcmp(s, "block_sparse_moe", len) == 0);
		shared = shared || (len >= 6 && memcmp(s, "share", 5) == 0);
		s += len + (s[len] == '.');
	}
	p->kind = shared           ? HOLDER_SHARED
		  : !experts       ? HOLDER_ONE
		  : n != ROLE_NONE ? HOLDER_EXPERT
				   : HOLDER_STACK;
	p->index = n;
	if (n != ROLE_NONE && n >= ROLE_EXPERTS_MAX)
		p->slot = SLOT_OTHER;
}

/* Find what the tail ends in, and cut it off: the holder stays. */
static void cut_slot(char *tail, struct role_piece *out)
{
	size_t len = strlen(tail);

	out->slot = SLOT_UNKNOWN;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *r = &rows[i];
		size_t n = strlen(r->name);
		char *at = tail + len - n, *dot = at > tail ? at - 1 : tail, was;
		bool attention;

		if (n > len || memcmp(at, r->name, n) != 0 || (at > tail && at[-1] != '.'))
			continue;
		was = *dot;
		*dot = '\0';
		attention = has_among(tail, attention_words) || has_among(tail, cross_words);
		if (has_among(tail, other_words) && r->slot != SLOT_INTO &&
		    r->slot != SLOT_OUT_OF) {
			out->slot = SLOT_OTHER;
		} else if (r->where == ANY || attention == (r->where == ATTENTION)) {
			out->slot = r->slot;
			out->holder = tail;
			holder_kind(out);
			if (r->kind != HOLDER_ONE)
				out->kind = r->kind;
			if (r->slot >= SLOT_Q && r->slot <= SLOT_V_B)
				out->kind = has_among(tail, cross_words) ? HOLDER_CROSS
									 : HOLDER_ATTENTION;
			return;
		}
		*dot = was;
	}
	out->holder = tail;
}

/* "weight" and the like say nothing; a number behind the slot is of a half, or of an expert. */
static void cut_ends(char *tail, struct role_piece *out)
{
	char *dot;
	uint32_t n;

	while (drop_end(tail, ".weight") || drop_end(tail, ".base_layer"))
		;
	if (drop_end(tail, ".kernel"))
		out->kernel = true;
	out->sub = ROLE_NONE;
	dot = strrchr(tail, '.');
	if (dot && is_number(dot + 1, strlen(dot + 1), &n)) {
		out->sub = n;
		*dot = '\0';
	}
}

int fork_role_name(const char *name, bool anywhere, struct arena *a, struct role_piece *out)
{
	size_t len = strlen(name);
	char *copy, *tail;

	out->layer = out->index = out->sub = ROLE_NONE;
	out->slot = SLOT_UNKNOWN;
	out->stack = out->holder = "";
	if (len >= ROLE_NAME_BYTES)
		return 0;
	copy = arena_copy(a, name, len);
	if (!copy)
		return ERR_NOMEM;
	for (char *p = copy; *p; p++)
		if (*p == '/')
			*p = '.';
	tail = cut_layer(copy, out);
	if (anywhere && out->layer == ROLE_NONE)
		tail = cut_anywhere(copy, out);
	if (out->layer != ROLE_NONE && out->layer >= ROLE_LAYERS_MAX) {
		out->layer = ROLE_NONE;
		out->stack = "";
		return 0;
	}
	cut_ends(tail, out);
	cut_slot(tail, out);
	if (out->sub != ROLE_NONE && out->kind == HOLDER_ONE && text_starts(name, "blk.")) {
		/* of old GGUF files: blk.3.ffn_gate.7.weight */
		out->kind = HOLDER_EXPERT;
		out->index = out->sub;
	}
	return 0;
}
