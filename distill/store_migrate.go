package distill

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"time"
)

// migrate turns the table of version 1 into the tables of today. An answer that
// was damaged stays so: its checksum is one that nothing has.
func migrate(ctx context.Context, tx *sql.Tx) error {
	if err := execute(ctx, tx, append([]string{"ALTER TABLE answers RENAME TO answers_1"}, schema...)...); err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, insertAnswer)
	if err != nil {
		return err
	}
	defer insert.Close()
	rows, err := tx.QueryContext(ctx, `SELECT key, answer, finish, prompt_tokens, tokens, log_probs, top, latency_ns, checksum,
		teacher, prompt, given, settings, answer_tokens, created_at FROM answers_1 ORDER BY rowid`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := scanVersion1(rows)
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close() // a table that is read cannot be dropped
	return execute(ctx, tx, "DROP TABLE answers_1")
}

// noChecksum is the checksum of an answer that is damaged: CRCs are not negative.
const noChecksum = -1

// scanVersion1 reads a row of version 1 as the values of insertAnswer.
func scanVersion1(rows *sql.Rows) ([]any, error) {
	var key, tokens, logProbs, top []byte
	var answer, finish, teacher, prompt, given, setting, created sql.NullString
	var promptTokens, answerTokens, latency, checksum int64
	if err := rows.Scan(&key, &answer, &finish, &promptTokens, &tokens, &logProbs, &top, &latency, &checksum,
		&teacher, &prompt, &given, &setting, &answerTokens, &created); err != nil {
		return nil, err
	}
	e := storedAnswer{texts: [6]string{answer.String, "", "", finish.String}, numbers: [9]int64{promptTokens, 0, answerTokens, 8: latency},
		blobs: [5][]byte{{}, {}, {}, {}, {}}} // an empty blob is read as nil, which would be NULL
	for i, b := range [][]byte{tokens, logProbs, top} {
		e.blobs[i] = append(e.blobs[i], b...)
	}
	if sumVersion1(key, &e) != checksum || answerTokens != int64(len(tokens)/4) {
		e.checksum = noChecksum
	} else {
		e.checksum = e.sum(Key(key))
	}
	// Version 1 had no settings but these.
	if !json.Valid([]byte(setting.String)) {
		e.checksum = noChecksum
	}
	return append(e.values(key), teacher.String, setting.String, 0, prompt.String, given, "", "", "", created.String), nil
}

// sumVersion1 is the checksum as version 1 computed it.
func sumVersion1(key []byte, e *storedAnswer) int64 {
	if len(key) != len(Key{}) {
		return noChecksum
	}
	h := crc32.New(castagnoli)
	var size [8]byte
	for _, part := range [][]byte{key, []byte(e.texts[0]), []byte(e.texts[3]), e.blobs[0], e.blobs[1], e.blobs[2]} {
		binary.LittleEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	for _, n := range []int64{e.numbers[0], e.numbers[8]} {
		binary.LittleEndian.PutUint64(size[:], uint64(n))
		h.Write(size[:])
	}
	return int64(h.Sum32())
}

// stamp is a time as the store keeps it: texts of equal length, in order.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }
