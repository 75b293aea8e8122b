// Package chat turns conversations into the text a model was trained on, and
// says which part of that text a student learns.
//
// [Load] finds a model's chat templates and special tokens in its directory;
// [FromText] takes a template from elsewhere (a GGUF file's
// tokenizer.chat_template, a bare .jinja file); [Set.Fallback] names one for a
// model that has none. [Set.Choose] picks among named templates as
// transformers does. [Template.Render] gives the text and [Template.Learned]
// also the bytes of each assistant turn, its end-of-turn token included, which
// [Tokens] maps to tokens. A rendered text already holds its special tokens:
// tokenize it without adding any, or the beginning-of-text token comes twice.
//
// The template language is in package jinja.
package chat
