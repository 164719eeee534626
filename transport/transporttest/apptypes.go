package transporttest

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
)

// This file has what the functions of the application take and send. The order
// of the fields is that of the members on the wire.

// What several functions take and send.
type (
	message struct {
		Message string `json:"message" minLength:"1" maxLength:"100"`
	}
	texts struct {
		Texts []string `json:"texts"`
	}
	textValue struct {
		Text string `json:"text"`
	}
	chosenBy struct {
		By string `json:"by"`
	}
	// byAction may hold a member that also routes.
	byAction struct {
		Type *string `json:"type,omitzero"`
	}
	// byType may hold a member that routes too, where it names nothing.
	byType struct {
		Action *string `json:"action,omitzero"`
	}
	rawValue struct {
		Value jsontext.Value `json:"value"`
	}
	gateName struct {
		Gate string `json:"gate"`
	}
	howMany struct {
		N int `json:"n" minimum:"0" maximum:"100000"`
	}
	hexValue struct {
		Hex string `json:"hex" pattern:"^([0-9a-f]{2})*$"`
	}
	greeting struct {
		Text string `json:"text"`
		N    int    `json:"n"`
	}
)

// What opens channels.
type (
	openingData struct {
		Place string    `json:"place" path:"place" maxLength:"20"`
		Text  string    `json:"text" query:"text" minLength:"2" required:"false" default:"none"`
		N     int       `json:"n" query:"n" minimum:"0" maximum:"10" required:"false" default:"5"`
		Ratio float64   `json:"ratio,omitzero" query:"ratio"`
		On    bool      `json:"on,omitzero" query:"on"`
		When  time.Time `json:"when,omitzero" query:"when"`
		Level level     `json:"level,omitzero" query:"level"`
		Limit *int      `json:"limit,omitzero" query:"limit"`
		Tags  []string  `json:"tags" query:"tag" maxItems:"3" required:"false"`
		Trace string    `json:"trace,omitzero" header:"X-Trace" query:"trace"`
	}
	connectData struct {
		Fail  string `json:"fail,omitzero" query:"fail"`
		Wait  string `json:"wait,omitzero" query:"wait"`
		Close int    `json:"close,omitzero" query:"close"`
		Retry int    `json:"retry,omitzero" query:"retry"`
	}
	watchData struct {
		Room string `json:"room" query:"room"`
	}
	welcome struct {
		Welcome string `json:"welcome"`
	}
)

// level is low or high.
type level int

// MarshalText implements encoding.TextMarshaler.
func (l level) MarshalText() ([]byte, error) {
	return []byte([]string{"none", "low", "high"}[l]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "low":
		*l = 1
	case "high":
		*l = 2
	default:
		return kanava.Errorf(kanava.CodeInvalidArgument, "must be low or high")
	}
	return nil
}

// What is asked of clients, and counted.
type (
	question struct {
		Question string `json:"question"`
	}
	verdict struct {
		Yes  bool   `json:"yes"`
		Note string `json:"note,omitempty" maxLength:"5"`
	}
	tickInput struct {
		Name string `json:"name"`
	}
)

// What signs in and out.
type (
	credentials struct {
		Token string `json:"token" minLength:"1"`
	}
	signedIn struct {
		Authenticated bool `json:"authenticated"`
	}
	me struct {
		Name  string `json:"name"`
		Admin bool   `json:"admin"`
	}
)

// What goes through rooms and topics.
type (
	roomEvent struct {
		Text   string `json:"text"`
		Code   int    `json:"code,omitzero"`
		Reason string `json:"reason,omitzero"`
	}
	roomText struct {
		Room string `json:"room"`
		Text string `json:"text"`
	}
	roomBytes struct {
		Room string `json:"room"`
		Hex  string `json:"hex" pattern:"^([0-9a-f]{2})*$"`
	}
	roomName struct {
		Room string `json:"room"`
	}
	hallName struct {
		Hall string `json:"hall"`
	}
	hallMood struct {
		Hall string `json:"hall"`
		Mood string `json:"mood"`
	}
	attendant struct {
		Mood string `json:"mood"`
	}
	topicName struct {
		Topic string `json:"topic"`
	}
	topicValue struct {
		Topic string         `json:"topic"`
		Value jsontext.Value `json:"value"`
	}
)

// What fails.
type (
	failure struct {
		Code       string   `json:"code"`
		Message    string   `json:"message"`
		Pointers   []string `json:"pointers,omitzero"`
		RetryAfter int      `json:"retryAfter,omitzero"`
	}
	crash struct {
		How string `json:"how" enum:"error,panic,encode,long"`
	}
	goodbyeInput struct {
		Code   int    `json:"code" minimum:"4000" maximum:"4399"`
		Reason string `json:"reason" maxLength:"123"`
	}
	goodbye struct {
		Closing bool `json:"closing"`
	}
)

// What has rules.
type (
	textInput struct {
		Value string `json:"value" minLength:"2" maxLength:"5"`
	}
	integerInput struct {
		Value int `json:"value" minimum:"0" maximum:"150"`
	}
	int64Input struct {
		Value int64 `json:"value"`
	}
	floatInput struct {
		Value float64 `json:"value" minimum:"0.5"`
	}
	booleanInput struct {
		Value bool `json:"value"`
	}
	choiceInput struct {
		Value string `json:"value" enum:"red,green"`
	}
	patternInput struct {
		Value string `json:"value" pattern:"^[a-z]+$"`
	}
	listInput struct {
		Values []int `json:"values" minItems:"1" maxItems:"3"`
	}
	mapInput struct {
		Values map[string]int `json:"values"`
	}
	person struct {
		Name string `json:"name" minLength:"1"`
		Age  int    `json:"age" minimum:"0"`
	}
	group struct {
		People []person `json:"people"`
	}
	nestedInput struct {
		Group group `json:"group"`
	}
	optionalInput struct {
		Note  *string `json:"note"`           // null, but there
		Extra *string `json:"extra,omitzero"` // null, or not there
		More  string  `json:"more,omitzero"`  // not there, but never null
	}
	shapeInput struct {
		Shape shape `json:"shape"`
	}
	orderInput struct {
		ID     string   `json:"id" minLength:"3"`
		Amount int      `json:"amount" minimum:"1" maximum:"9"`
		Color  string   `json:"color" enum:"red,green"`
		Tags   []string `json:"tags" minItems:"1"`
		Buyer  person   `json:"buyer"`
	}
	sizeInput struct {
		Text string `json:"text"`
	}
	sizeReply struct {
		Length int `json:"length"`
	}
)

// shape is a union: a circle or a square, told apart by the member "type".
type shape interface{ isShape() }

// The shapes.
type (
	circle struct {
		Radius float64 `json:"radius" minimum:"0"`
	}
	square struct {
		Side float64 `json:"side" minimum:"0"`
	}
)

func (circle) isShape() {}
func (square) isShape() {}

var _ = kanava.OneOf("type", map[string]shape{"circle": circle{}, "square": square{}})

// progress is what the stream "steps" sends.
type progress interface{ isProgress() }

// The kinds of progress.
type (
	processing struct {
		Step string `json:"step"`
	}
	complete struct {
		Records int `json:"records"`
	}
)

func (processing) isProgress() {}
func (complete) isProgress()   {}

var _ = kanava.OneOf("type", map[string]progress{"processing": processing{}, "complete": complete{}})

// item is what the other streams send.
type item struct {
	Item int `json:"item"`
}
