package webpubsub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// mostSignatures is how many of a request's signatures are looked at. The service
// sends two, one for each key.
const mostSignatures = 4

// signed reports whether one of the signatures, as in
//
//	ce-signature: sha256=<hex>,sha256=<hex>
//
// was made for the connection with one of the keys. How long it takes tells nothing
// about the keys, nor which of them fits.
func signed(field, connectionID string, keys [][]byte) bool {
	var given [][]byte
	for s := range strings.SplitSeq(field, ",") {
		digits, ok := strings.CutPrefix(strings.TrimSpace(s), "sha256=")
		if sum, err := hex.DecodeString(digits); ok && err == nil && len(given) < mostSignatures {
			given = append(given, sum)
		}
	}
	fits := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(connectionID))
		want := mac.Sum(nil)
		for _, sum := range given {
			fits = hmac.Equal(sum, want) || fits
		}
	}
	return fits
}
