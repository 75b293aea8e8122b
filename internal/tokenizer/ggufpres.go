package tokenizer

// llamaCppPre is one of llama.cpp's pre-tokenizers for byte-level vocabularies:
// text is cut at the matches of the expressions, one after the other.
type llamaCppPre struct {
	names        []string // tokenizer.ggml.pre; the first one is written
	regexes      []string
	ignoreMerges bool
	addBOS       bool // where the file does not say
}

// gpt4oRegex is the expression of GPT-4o.
const gpt4oRegex = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// llamaCppPres are the supported ones (llama.cpp, src/llama-vocab.cpp). Where
// llama.cpp approximates an expression that its engine cannot match, this is the
// one of the models' own tokenizer.json. Not here, and so refused, are those that
// llama.cpp computes by hand (kimi-k2, afmoe, gemma4) and those whose expression
// there does not do what the model's does (superbpe, chameleon).
var llamaCppPres = []llamaCppPre{
	{
		names: []string{"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"},
		regexes: []string{
			gpt2Regex,
		},
	},
	{
		names: []string{"llama-bpe", "llama-v3", "llama3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
		regexes: []string{
			llama3Regex,
		},
		ignoreMerges: true,
		addBOS:       true,
	},
	{
		names: []string{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"},
		regexes: []string{
			llama3Regex,
		},
	},
	{
		names: []string{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "hunyuan", "solar-open", "megrez", "grok-2"},
		regexes: []string{
			qwen2Regex,
		},
	},
	{
		names: []string{"qwen35"},
		regexes: []string{
			`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		},
	},
	{
		names: []string{"deepseek-llm"},
		regexes: []string{
			"[\r\n]",
			`\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+`,
			`\s?[!-/:-~！-／：-～‘-‟　-。]+`,
			`\s+$`,
			`[一-龥ࠀ-一가-퟿]+`,
			`\p{N}+`,
		},
	},
	{
		names: []string{"deepseek-coder"},
		regexes: []string{
			"[\r\n]",
			`\s?\p{L}+`,
			`\s?\p{P}+`,
			`[一-龥ࠀ-一가-퟿]+`,
			`\p{N}`,
		},
	},
	{
		names: []string{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
		regexes: []string{
			`\p{N}{1,3}`,
			`[一-龥぀-ゟ゠-ヿ]+`,
			"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
		},
	},
	{
		names: []string{"falcon"},
		regexes: []string{
			"[\\p{P}\\$\\+<=>\\^~\\|`]+",
			gpt2Regex,
			`[0-9][0-9][0-9]`,
		},
	},
	{
		names: []string{"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"},
		regexes: []string{
			`\p{N}`,
			gpt2Regex,
		},
	},
	{
		names: []string{"poro-chat", "bloom", "gpt3-finnish"},
		regexes: []string{
			` ?[^(\s|.,!?…。，、।۔،)]+`,
		},
	},
	{
		names: []string{"viking"},
		regexes: []string{
			` ?[^(\s|.,!?…。，、।۔،)]+`,
			`\p{N}`,
		},
	},
	{
		names: []string{"tekken"},
		regexes: []string{
			`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		},
		ignoreMerges: true,
		addBOS:       true,
	},
	{
		names: []string{"gpt-4o", "llama4", "kanana2", "minimax-m2"},
		regexes: []string{
			gpt4oRegex,
		},
	},
	{
		names: []string{"tiny_aya"},
		regexes: []string{
			`\d{1,3}(?=(?:\d{3})*\b)`,
			gpt4oRegex,
		},
	},
	{
		names: []string{"youtu"},
		regexes: []string{
			`[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`,
			`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		},
		ignoreMerges: true,
	},
	{
		names: []string{"bailingmoe", "bailingmoe2", "llada-moe"},
		regexes: []string{
			`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
		},
	},
	{
		names: []string{"seed-coder"},
		regexes: []string{
			`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+`,
		},
	},
	{
		names: []string{"exaone-moe"},
		regexes: []string{
			`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`,
		},
	},
	{
		names: []string{"jais-2"},
		regexes: []string{
			`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`,
		},
	},
	{
		names: []string{"default"},
		regexes: []string{
			`[\p{P}\$\+<=>\^~\|]+`,
			gpt2Regex,
			`\p{N}+`,
			`[0-9][0-9][0-9]`,
		},
	},
}
