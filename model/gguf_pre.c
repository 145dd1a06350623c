/* The pre-tokenizers that tokenizer.ggml.pre names, as tokenizer.json writes them: the expressions
 * of the released files, of which llama.cpp has translations. Source: llama.cpp,
 * src/llama-vocab.cpp, and tokenizer.json of the models that its names stand for. */
#include "model/gguf_tokenizer.h"

#include <string.h>

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SIGNS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(end)                                           \
	"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" end "|" \
	"[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" end
#define CASED_SIGNS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
#define NO_HAN_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define NO_HAN_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define DEEPSEEK_MAIN                                                         \
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"              \
	"[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|" \
	"\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
/* Letters that have cases, but for those of some scripts; those that Unicode's normal form would
 * replace are written by their bytes. */
#define LATIN                                                                                \
	"\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ"   \
	"-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-"   \
	"Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\341\275\275ᾀ-ᾴᾶ-ᾼ\341\276\276ῂ-ῄ" \
	"ῆ-ῌῐ-\341\277\223ῖ-\341\277\233ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-"   \
	"ℝℤ\342\204\246ℨ\342\204\252-\342\204\255ℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ" \
	"-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗ"   \
	"Ａ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"

static const struct gguf_pre pres[] = {
	{ .names = "gpt-2 phi-2 olmo mpt jais trillion modern-bert gigachat a.x-4.0 mellum",
	  .gpt2 = true },
	{ .names = "exaone4", .nfc = true, .gpt2 = true },
	{ .names = "smollm starcoder refact codeshell exaone minerva-7b",
	  .digits = true,
	  .gpt2 = true },
	{ .names = "command-r", .nfc = true, .digits = true, .gpt2 = true },
	{ .names = "default",
	  .split = { "[\\p{P}\\$\\+<=>\\^~\\|]+",
		     "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)",
		     "\\p{N}+", "[0-9][0-9][0-9]" } },
	{ .names = "llama3 llama-v3 llama-bpe falcon3 pixtral midm-2.0 lfm2",
	  .whole = true,
	  .bos = true,
	  .split = { CONTRACTION "|" WORD "|\\p{N}{1,3}|" SIGNS "|" SPACES } },
	{ .names = "glm4 chatglm-bpe dbrx smaug-bpe",
	  .split = { CONTRACTION "|" WORD "|\\p{N}{1,3}|" SIGNS "|" SPACES } },
	{ .names = "qwen2",
	  .nfc = true,
	  .split = { CONTRACTION "|" WORD "|\\p{N}|" SIGNS "|" SPACES } },
	{ .names = "deepseek-r1-qwen megrez hunyuan solar-open stablelm2 grok-2",
	  .split = { CONTRACTION "|" WORD "|\\p{N}|" SIGNS "|" SPACES } },
	{ .names = "qwen35",
	  .nfc = true,
	  .split = { CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|"
				 " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES } },
	{ .names = "tekken",
	  .whole = true,
	  .bos = true,
	  .split = { CASED("") "|\\p{N}|" CASED_SIGNS "|" SPACES } },
	{ .names = "gpt-4o llama4 kanana2 minimax-m2",
	  .split = { CASED(CONTRACTION "?") "|\\p{N}{1,3}|" CASED_SIGNS "|" SPACES } },
	{ .names = "kimi-k2",
	  .whole = true,
	  .split = { "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?" NO_HAN_UPPER "*" NO_HAN_LOWER
		     "+" CONTRACTION "?|[^\\r\\n\\p{L}\\p{N}]?" NO_HAN_UPPER "+" NO_HAN_LOWER
		     "*" CONTRACTION "?|\\p{N}{1,3}|" SIGNS "|" SPACES } },
	{ .names = "deepseek-v3 hunyuan-dense joyai-llm",
	  .split = { "\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK_MAIN } },
	{ .names = "deepseek-llm",
	  .split = { "[\r\n]", LATIN, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$",
		     "[一-龥ࠀ-一가-퟿]+", "\\p{N}+" } },
	{ .names = "deepseek-coder",
	  .split = { "[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+",
		     "\\p{N}" } },
	{ .names = "seed-coder",
	  .split = { CONTRACTION "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES } },
	{ .names = "bailingmoe bailingmoe2 llada-moe",
	  .split = { "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}|"
		     " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+" } },
};

/* Whether the list, words apart, has it. */
static bool lists(const char *names, const char *name)
{
	size_t len = strlen(name);
	for (const char *p = names; len > 0 && (p = strstr(p, name)); p += len)
		if ((p == names || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

const struct gguf_pre *model_gguf_pre(const char *name)
{
	for (size_t i = 0; i < sizeof pres / sizeof pres[0]; i++)
		if (!strchr(name, ' ') && lists(pres[i].names, name))
			return &pres[i];
	return NULL;
}

static json_t *split(const char *pattern)
{
	return json_pack("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern", "Regex", pattern,
			 "behavior", "Isolated", "invert", 0);
}

json_t *model_gguf_pre_tokenizer(const struct gguf_pre *p)
{
	json_t *list = json_array();
	for (size_t i = 0; i < GGUF_SPLITS && p->split[i]; i++)
		json_array_append_new(list, split(p->split[i]));
	if (p->digits)
		json_array_append_new(list, json_pack("{s:s,s:b}", "type", "Digits",
						      "individual_digits", 1));
	json_array_append_new(list, json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel",
					      "add_prefix_space", 0, "trim_offsets", 1, "use_regex",
					      p->gpt2));
	return json_pack("{s:s,s:o}", "type", "Sequence", "pretokenizers", list);
}
