module github.com/kanava-go/kanava/engine/redis

go 1.26.0

require (
	github.com/kanava-go/kanava v0.1.0
	github.com/redis/rueidis v1.0.79
	pgregory.net/rapid v1.3.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	go.uber.org/goleak v1.3.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/kanava-go/kanava => ../..
