// Package stock has a type with the name of another one.
package stock

// Item is how many there are of something.
type Item struct {
	SKU   string `json:"sku"`
	Count uint32 `json:"count"`
}
