package main

import (
	"fmt"
	"strings"
)

// Say is a message of about 64 bytes.
type Say struct {
	Message string `json:"message" maxLength:"4000" minLength:"1" validate:"min=1,max=4000"`
	Room    int64  `json:"room"    minimum:"1"      validate:"min=1"`
}

// Order is a message of any size. Its tags say the same to each library, as far
// as that can be said.
type Order struct {
	ID       int64  `json:"id"       minimum:"1"                   validate:"min=1"`
	Customer string `json:"customer" maxLength:"100" minLength:"1" validate:"min=1,max=100"`
	Mail     string `json:"mail"     format:"email"                validate:"email"`
	Status   string `enum:"new,paid,sent" json:"status"            validate:"oneof=new paid sent"`
	Items    []Item `json:"items"    maxItems:"1000" minItems:"1"  validate:"min=1,max=1000,dive"`
}

// Item is a part of an Order.
type Item struct {
	SKU     string   `json:"sku"     maxLength:"20" minLength:"3" pattern:"^[A-Z]{2}-[0-9]+$" validate:"min=3,max=20"`
	Name    string   `json:"name"    minLength:"1"  validate:"min=1"`
	Count   int      `json:"count"   maximum:"99"   minimum:"1"   validate:"min=1,max=99"`
	Price   float64  `json:"price"   minimum:"0"    validate:"min=0"`
	Tags    []string `json:"tags"    maxItems:"5"   validate:"max=5"`
	InStock bool     `json:"inStock"`
}

const say = `{"message":"Hello, room! How is it going today?","room":123456}`

// order returns an Order with n items, of about 110 bytes each.
func order(n int) string {
	var b strings.Builder
	b.WriteString(`{"id":123456789,"customer":"Väinö Ääkkönen","mail":"vaino@example.org","status":"paid","items":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"AB-%d","name":"A rather ordinary product","count":%d,"price":%d.95,"tags":["new","sale"],"inStock":true}`, 1000+i, 1+i%99, i)
	}
	b.WriteString(`]}`)
	return b.String()
}
