module github.com/kanava-go/kanava/transport/webpubsub

go 1.26.0

require (
	github.com/go-json-experiment/json v1.27.2
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/google/go-cmp v0.7.0
	github.com/kanava-go/kanava v0.1.0
	go.uber.org/goleak v1.3.0
)

replace github.com/kanava-go/kanava => ../..
