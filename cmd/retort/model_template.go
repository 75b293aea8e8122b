package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/retort-ml/retort/internal/chat"
	"github.com/retort-ml/retort/internal/chat/jinja"
	"github.com/retort-ml/retort/internal/checkpoint"

	"github.com/urfave/cli/v2"
)

func modelTemplateCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "template",
		Usage:     "render a conversation by the model's chat template, and show what of it is learned",
		ArgsUsage: "PATH",
		Description: "PATH may be a template's own file (.jinja), too. Prints the text and nothing else; with --tokens a line for each\n" +
			"token instead: id, \"learned\" or nothing, piece in quotes.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "messages", Usage: "`FILE` of the conversation, a JSON array of messages"},
			&cli.StringFlag{Name: "tools", Usage: "`FILE` of tools, a JSON array"},
			&cli.BoolFlag{Name: "add-generation-prompt", Usage: "end with what begins an assistant's turn"},
			&cli.StringFlag{Name: "now", Usage: "`TIME` that templates see, as 2026-01-15 12:00 or 2026-01-15; the clock's otherwise"},
			&cli.StringFlag{Name: "bos", Usage: "`TEXT` of the token that begins a text"},
			&cli.StringFlag{Name: "eos", Usage: "`TEXT` of the token that ends a text"},
			&cli.BoolFlag{Name: "tokens", Usage: "print tokens, and which are learned"}},
		Action: func(c *cli.Context) error { return modelTemplate(c, s) },
	}
}

func modelTemplate(c *cli.Context, s streams) error {
	path, err := modelPath(c)
	if err != nil {
		return err
	}
	if c.String("messages") == "" {
		return usagef("template: want --messages FILE")
	}
	special := map[string]string{}
	extra := jinja.NewDict()
	for flag, name := range map[string]string{"bos": "bos_token", "eos": "eos_token"} {
		if c.IsSet(flag) {
			special[name] = c.String(flag)
			extra.Set(name, c.String(flag)) // before the model's own
		}
	}
	request, err := templateRequest(c)
	if err != nil {
		return err
	}
	request.Extra = extra
	set, err := checkpoint.Templates(path, special)
	if err != nil {
		return err
	}
	t, err := set.Choose("", request.Tools != nil)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if c.Bool("tokens") {
		return templateTokens(s, path, t, request)
	}
	text, err := t.Render(request)
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.out, text)
	return err
}

// templateRequest reads what is to be rendered.
func templateRequest(c *cli.Context) (r chat.Request, err error) {
	r.AddGenerationPrompt = c.Bool("add-generation-prompt")
	if r.Now, err = templateTime(c.String("now")); err != nil {
		return r, err
	}
	data, err := os.ReadFile(c.String("messages"))
	if err != nil {
		return r, err
	}
	if r.Messages, err = chat.ParseMessages(data); err != nil {
		return r, fmt.Errorf("%s: %w", c.String("messages"), err)
	}
	name := c.String("tools")
	if name == "" {
		return r, nil
	}
	if data, err = os.ReadFile(name); err != nil {
		return r, err
	}
	if r.Tools, err = chat.ParseList(data); err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func templateTime(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("template: --now %q: want a time such as 2026-01-15 12:00", text)
}

// templateTokens prints the tokens of the rendered text, and which are learned.
func templateTokens(s streams, path string, t *chat.Template, r chat.Request) error {
	tok, err := checkpoint.Tokenizer(path)
	if err != nil {
		return fmt.Errorf("--tokens: %w", err)
	}
	conversation, err := t.Learned(r, chat.LearnOptions{EndTokens: checkpoint.EndTokens(path, tok)})
	if err != nil {
		return err
	}
	tokens := tok.EncodeTokens(conversation.Text, false)
	offsets := make([][2]int, len(tokens))
	for i, p := range tokens {
		offsets[i] = [2]int{p.Start, p.End}
	}
	learned, err := chat.Tokens(conversation.Spans, offsets)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(s.out)
	for i, p := range tokens {
		mark := ""
		if learned[i] {
			mark = "learned"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", p.ID, mark, strconv.Quote(p.Piece))
	}
	return w.Flush()
}
