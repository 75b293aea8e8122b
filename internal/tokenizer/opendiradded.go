package tokenizer

// fromWords is fromDocument for a vocabulary that is a file of its own. The added
// tokens that the settings or the class name are put into the document: written
// as tokenizer.json without them, the tokenizer would be another one.
func fromWords(doc newDocument, s settings, vocab map[string]int32) (*Tokenizer, error) {
	var err error
	if doc.added, err = s.complete(doc.added, vocab); err != nil {
		return nil, err
	}
	return fromDocument(doc, s)
}
