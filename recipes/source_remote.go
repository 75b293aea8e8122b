package recipes

import (
	"net/netip"
	"net/url"
	"reflect"
	"strings"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/api"
)

// isRemote tells whether the model is asked through a server's API.
func (m *Source) isRemote() bool { return m.API != "" }

// isRecorded tells whether the model is answers that somebody wrote down.
func (m *Source) isRecorded() bool { return m.Recorded != nil }

// hasWeights tells whether the model is here to be run.
func (m *Source) hasWeights() bool { return !m.isRemote() && !m.isRecorded() }

// isHere tells whether the server runs on this machine.
func (m *Source) isHere() bool {
	u, err := url.Parse(m.Options.WithDefaults().BaseURL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// providers are those whose prices are listed, by their hosts.
var providers = map[string]string{
	"api.openai.com":                    "openai",
	"api.anthropic.com":                 "anthropic",
	"generativelanguage.googleapis.com": "google",
	"api.x.ai":                          "xai",
	"api.groq.com":                      "groq",
}

// provider is whose server it is, as the list of prices calls it; a host that
// is not listed is its own.
func (m *Source) provider() string {
	u, err := url.Parse(m.Options.WithDefaults().BaseURL)
	if err != nil {
		return ""
	}
	if p, ok := providers[u.Hostname()]; ok {
		return p
	}
	return u.Hostname()
}

// price is what the server asks: as the recipe says, nothing on this machine, or
// as listed. An unknown price is an error that says how to declare one.
func (m *Source) price() (distill.Price, error) {
	if m.Price != nil {
		return *m.Price, nil
	}
	if m.isHere() {
		return distill.Price{}, nil
	}
	list, err := distill.ListPrices()
	if err != nil {
		return distill.Price{}, err
	}
	p, err := list.Find(m.provider(), m.Model)
	return p.Price, err
}

// asked says how the models that refs name are asked, for a stage's fingerprint:
// their chats, and of servers all that can change an answer.
func (r *Recipe) asked(extra map[string]any, refs ...string) map[string]any {
	for _, ref := range refs {
		m, ok := r.Models[ref]
		switch {
		case ok && m.isRemote():
			extra["server "+ref] = m.identity()
			if o := m.redacting(); o != nil && !o.Off {
				extra["redacted "+ref] = keyed(reflect.ValueOf(o))
			}
		case ok && m.isRecorded():
			extra["recorded "+ref] = keyed(reflect.ValueOf(recordedForm(m.Recorded)))
		}
	}
	return r.chats(extra, refs...)
}

// identity names what can change the server's answers.
func (m *Source) identity() string {
	c, err := api.New(m.Options, api.Access{})
	if err != nil {
		return strings.Join([]string{m.API, m.BaseURL, m.Model}, " ") // the recipe was checked
	}
	return c.Identity()
}
