// Package tokenizer turns text into token ids and back.
//
// A [Tokenizer] comes from a directory ([Load]) with a Hugging Face
// tokenizer.json (see also [Parse]), a SentencePiece model (tokenizer.model),
// GPT-2's vocab.json and merges.txt or BERT's vocab.txt; from the vocabulary
// inside a GGUF file ([FromGGUF]); or from texts ([Train]). It follows the Hugging
// Face tokenizers library step by step:
//
//	text → normalizer → added tokens cut out → pre-tokenizer → model → post-processor → ids
//	ids → tokens → decoder → text
//
// [Tokenizer.Encode] returns the ids, [Tokenizer.EncodeTokens] also the pieces and
// the bytes of the text that each stands for.
//
// Each step is one file and one small interface; a step has as many
// implementations as tokenizer.json has types. Whatever a file asks for and is
// not implemented is an error naming the component and its type: wrong ids
// would show up only after a model has been trained on them.
//
// Two keys of tokenizer.json are left to the caller, as transformers leaves
// them: "truncation" and "padding" describe batches, not text. Likewise
// clean_up_tokenization_spaces of tokenizer_config.json, which makes text
// prettier and not what the model said.
//
// Text that is not valid UTF-8 reaches the library only after every maximal
// invalid part has been replaced by U+FFFD, and Encode does the same.
package tokenizer
