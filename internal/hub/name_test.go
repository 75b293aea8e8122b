package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for text, want := range map[string]string{
		"org/name": "org/name@main", "gpt2": "gpt2@main", "a/b.c-d_e@refs/pr/1": "a/b.c-d_e@refs/pr/1",
		"": "", "a/b/c": "", "../b": "", "a/..": "", "a--b/c": "", "/a": "", "a/": "", "a b": "", "a/b@": "", "a/b@../x": "", "a/b@/x": "",
		"a/b@x y": "", "a/b@x\\y": "", "a/b@.x": "", "a/b@x.lock": "", "a/b@x@{1}": "", "a/b@x\x00": "", `a\b`: "", ".a/b": "",
	} {
		r, err := ParseRef(text)
		if want == "" != (err != nil) || err == nil && r.String() != want {
			t.Errorf("ParseRef(%q) = %s, %v; want %s", text, r, err, want)
		}
	}
}

func TestFromEnv(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env                            map[string]string
		endpoint, token, cache, failed string
	}{
		"defaults":  {map[string]string{"XDG_CACHE_HOME": "/x"}, "https://huggingface.co", "", "/x/huggingface/hub", ""},
		"home":      {map[string]string{"HF_HOME": home}, "https://huggingface.co", "hf_file", home + "/hub", ""},
		"all":       {map[string]string{"HF_HOME": home, "HF_TOKEN": "a", "HF_HUB_CACHE": "/c", "HF_ENDPOINT": "http://h:1/m/"}, "http://h:1/m", "a", "/c", ""},
		"endpoint":  {map[string]string{"HF_HOME": "/h", "HF_ENDPOINT": "ftp://h"}, "", "", "", "HF_ENDPOINT"},
		"bad token": {map[string]string{"HF_HOME": "/h", "HF_TOKEN": "a\nb"}, "", "", "", "HF_TOKEN holds something else"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromEnv(func(name string) string { return c.env[name] })
			if c.failed != "" {
				if err == nil || !strings.Contains(err.Error(), c.failed) {
					t.Errorf("error %v, want one of %s", err, c.failed)
				}
				return
			}
			if err != nil || got.Endpoint != c.endpoint || got.Token != c.token || got.Cache != filepath.FromSlash(c.cache) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// FuzzListing: whatever the hub says, no name leaves the cache.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"sha":"` + commit + `","siblings":[{"rfilename":"a/b.json","size":3,"blobId":"` + commit + `"},{"rfilename":"c","lfs":{"sha256":"","size":1}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseListing(data)
		if err != nil {
			return
		}
		for name, file := range l.files {
			if !filepath.IsLocal(name) || file.hash != "" && !isHash(file.hash) {
				t.Errorf("name %q, hash %q", name, file.hash)
			}
		}
	})
}

// FuzzIndex: no shard of an index leads out of the snapshot.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"../x.safetensors"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := shardNames(data)
		for _, name := range names {
			if err == nil && (!filepath.IsLocal(name) || isPickle(name)) {
				t.Errorf("shard %q", name)
			}
		}
	})
}
