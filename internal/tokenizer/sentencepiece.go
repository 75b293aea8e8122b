package tokenizer

import (
	"errors"
	"fmt"
	"math"
)

// The model types of SentencePiece's TrainerSpec.
const (
	spmUnigram = 1
	spmBPE     = 2
)

// spmModel is a SentencePiece model: a tokenizer.model, or the vocabulary of a
// GGUF file of the kind "t5". Its types of pieces are those of GGUF tokens.
type spmModel struct {
	kind               int32 // spmUnigram or spmBPE
	pieces             []string
	scores             []float32
	types              []int32
	unk, bos, eos, pad int32 // -1: none
	byteFallback       bool
	charsmap           []byte
	dummyPrefix        bool // text starts with a space
	removeExtraSpaces  bool // at the ends, and all but one within
	escapeSpaces       bool // spaces are ▁
	wordsEndWithSpace  bool // treat_whitespace_as_suffix
}

// parseSentencePiece reads a serialized ModelProto (sentencepiece_model.proto).
func parseSentencePiece(data []byte) (*spmModel, error) {
	m := &spmModel{
		kind: spmUnigram, bos: 1, eos: 2, pad: -1,
		dummyPrefix: true, removeExtraSpaces: true, escapeSpaces: true,
	}
	var denormalize []byte
	err := protoMessage(data).fields(map[int]any{
		1: m.addPiece,
		2: func(b []byte) error {
			return inPart("trainer_spec", protoMessage(b).fields(map[int]any{
				3: &m.kind, 24: &m.wordsEndWithSpace, 35: &m.byteFallback,
				40: &m.unk, 41: &m.bos, 42: &m.eos, 43: &m.pad,
			}))
		},
		3: func(b []byte) error {
			return inPart("normalizer_spec", protoMessage(b).fields(map[int]any{
				2: &m.charsmap, 3: &m.dummyPrefix, 4: &m.removeExtraSpaces, 5: &m.escapeSpaces,
			}))
		},
		5: func(b []byte) error {
			return inPart("denormalizer_spec", protoMessage(b).fields(map[int]any{2: &denormalize}))
		},
	})
	switch {
	case err != nil:
		return nil, err
	case len(denormalize) > 0:
		return nil, errors.New("denormalizer_spec: rules for decoding are not supported")
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	if m.types[m.unk] != typeUnknown {
		return nil, fmt.Errorf("trainer_spec: unk_id: piece %d (%q) is not of the type UNKNOWN", m.unk, m.pieces[m.unk])
	}
	return m, nil
}

func inPart(part string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return nil
}

func (m *spmModel) addPiece(data []byte) error {
	var piece string
	var score float32
	kind := int32(typeNormal)
	if err := protoMessage(data).fields(map[int]any{1: &piece, 2: &score, 3: &kind}); err != nil {
		return fmt.Errorf("piece %d: %w", len(m.pieces), err)
	}
	m.pieces, m.scores, m.types = append(m.pieces, piece), append(m.scores, score), append(m.types, kind)
	return nil
}

// check validates what the pieces say, and refuses what changes ids and is not
// implemented.
func (m *spmModel) check() error {
	switch {
	case m.kind != spmUnigram && m.kind != spmBPE:
		return fmt.Errorf("trainer_spec: model_type %d is not supported, want UNIGRAM (1) or BPE (2)", m.kind)
	case m.wordsEndWithSpace:
		return errors.New("trainer_spec: treat_whitespace_as_suffix is not supported")
	}
	for id, piece := range m.pieces {
		switch kind := m.types[id]; {
		case piece == "":
			return fmt.Errorf("piece %d is empty", id)
		case kind < typeNormal || kind > typeByte:
			return fmt.Errorf("piece %d (%q): type %d is not supported", id, piece, kind)
		case kind == typeUnused && m.kind == spmBPE:
			return fmt.Errorf("piece %d (%q) is UNUSED, which is not supported in a BPE model", id, piece)
		case math.IsNaN(float64(m.scores[id])):
			return fmt.Errorf("piece %d (%q): its score is not a number", id, piece)
		}
	}
	for _, special := range []struct {
		role string
		id   *int32
	}{{"unk_id", &m.unk}, {"bos_id", &m.bos}, {"eos_id", &m.eos}, {"pad_id", &m.pad}} {
		if int(*special.id) >= len(m.pieces) || *special.id < 0 {
			*special.id = -1 // as in SentencePiece: there is none
		}
	}
	if m.unk < 0 {
		return errors.New("there is no unknown piece")
	}
	return nil
}

// inText are the ids of the pieces that the model finds in text itself: what is
// added is found before.
func (m *spmModel) inText() map[string]int32 {
	ids := make(map[string]int32, len(m.pieces))
	for id, piece := range m.pieces {
		if m.types[id] == typeNormal {
			ids[piece] = int32(id)
		}
	}
	return ids
}

// tokenizer returns the tokenizer of the model, with the tokens that post puts
// around a text. everyPiece tells whether text after an added token begins with
// the dummy prefix too.
func (m *spmModel) tokenizer(s settings, post any, everyPiece bool) (*Tokenizer, error) {
	vocab := GGUFVocab{Tokens: m.pieces, Types: m.types, BOS: m.bos, EOS: m.eos, PAD: m.pad, UNK: m.unk}
	ids, err := vocab.check()
	if err != nil {
		return nil, err
	}
	doc := newDocument{tokens: m.pieces, added: m.addedTokens(), post: post}
	m.steps(&doc, everyPiece)
	found := m.inText()
	var runtime model
	if m.kind == spmUnigram {
		u := m.unigram(ids, found)
		doc.model = m.unigramObject()
		runtime = u
	} else {
		sc := newScored(found, m.scores, m.unk)
		sc.byteIDs = noBytes()
		if m.byteFallback {
			sc.byteIDs = lookupByteTokens(ids)
		}
		sc.wholeUnknown = true
		doc.model = bpeObject(&m.pieces[m.unk], m.byteFallback, false)
		doc.model["fuse_unk"] = true
		doc.merges = sc.derivedMerges()
		runtime = sc
	}
	t, err := fromDocument(doc, s)
	if err != nil {
		return nil, err
	}
	t.setModel(runtime)
	t.normalizer = longestRules(t.normalizer)
	return t, nil
}

// addedTokens are the control and user-defined pieces, as transformers adds them.
func (m *spmModel) addedTokens() []addedToken {
	var out []addedToken
	for id, kind := range m.types {
		if kind == typeControl || kind == typeUserDefined {
			out = append(out, addedToken{ID: int32(id), Content: m.pieces[id], Special: kind == typeControl})
		}
	}
	return out
}

func (m *spmModel) unigram(ids, found map[string]int32) *unigram {
	scores := make([]float64, len(m.scores))
	worst := math.Inf(1)
	for id, score := range m.scores {
		scores[id] = float64(score)
		if m.types[id] == typeNormal {
			worst = min(worst, scores[id])
		}
	}
	u := newUnigram(found, found, scores, worst, m.unk, false)
	if m.byteFallback {
		table := lookupByteTokens(ids)
		u.byteIDs = &table
	}
	return u
}

func (m *spmModel) unigramObject() object {
	vocab := make([][2]any, len(m.pieces))
	for id, piece := range m.pieces {
		vocab[id] = [2]any{piece, float64(m.scores[id])}
	}
	return object{"type": "Unigram", "unk_id": m.unk, "vocab": vocab, "byte_fallback": m.byteFallback}
}

func noBytes() (t [256]int32) {
	for b := range t {
		t[b] = -1
	}
	return t
}
