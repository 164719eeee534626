// Package shop has types that the gallery's channels use.
package shop

import "time"

// Base is embedded in what is kept.
type Base struct {
	// ID never changes.
	ID int64 `json:"id,string"`
	// Made is when it began.
	Made time.Time `json:"made"`
}

// Item is something for sale. A comment may end with */ and go on.
type Item struct {
	Base
	Name  string  `json:"name" minLength:"1" maxLength:"80"`
	Price float64 `json:"price" minimum:"0"` // in euros
	// Old names are kept for searches.
	//
	// Deprecated: they are no longer filled in.
	Old []string `json:"old,omitempty" deprecated:"true"`
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"` // null on the last page
}
