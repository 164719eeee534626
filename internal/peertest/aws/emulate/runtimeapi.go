package emulate

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// mostPayload is the size in bytes of the largest event and the largest answer
// that Lambda takes.
const mostPayload = 6 << 20

// runtimeAPI serves Lambda's Runtime API, of the version that all bootstraps
// speak, to each process below its id:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. And it takes
// events from an emulator at /invoke.
func (l *Lambda) runtimeAPI() http.Handler {
	const api = "/{process}/2018-06-01/runtime"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api+"/invocation/next", l.serveNext)
	mux.HandleFunc("POST "+api+"/invocation/{event}/response", l.serveResponse)
	mux.HandleFunc("POST "+api+"/invocation/{event}/error", l.serveError)
	mux.HandleFunc("POST "+api+"/init/error", l.serveInitError)
	mux.HandleFunc("POST /invoke", l.serveInvoke)
	return mux
}

func (l *Lambda) serveNext(w http.ResponseWriter, r *http.Request) {
	p := l.find(r.PathValue("process"))
	if p == nil {
		http.NotFound(w, r)
		return
	}
	l.asked(p)
	select {
	case e := <-p.next:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(e.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+region+":000000000000:function:kanava")
		_, _ = w.Write(e.payload) // a process that does not read it has ended
	case <-r.Context().Done():
	}
}

func (l *Lambda) serveResponse(w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostPayload))
	if err != nil {
		// Lambda's answer to a response that is too large; the event has failed.
		l.accept(w, r, answer{err: &FunctionError{Type: "Function.ResponseSizeTooLarge", Message: err.Error()}}, http.StatusRequestEntityTooLarge)
		return
	}
	l.accept(w, r, answer{payload: payload}, http.StatusAccepted)
}

func (l *Lambda) serveError(w http.ResponseWriter, r *http.Request) {
	failed := new(FunctionError)
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostPayload)).Decode(failed); err != nil {
		failed.Message = "an error that is no JSON: " + err.Error()
	}
	l.accept(w, r, answer{err: failed}, http.StatusAccepted)
}

// serveInitError ends the process, as Lambda does: that fails its event.
func (l *Lambda) serveInitError(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusAccepted)
	if p := l.find(r.PathValue("process")); p != nil {
		p.kill()
	}
}

// accept passes an answer on, and says so with the status.
func (l *Lambda) accept(w http.ResponseWriter, r *http.Request, a answer, status int) {
	p := l.find(r.PathValue("process"))
	if p == nil || !l.answered(p, r.PathValue("event"), a) {
		http.Error(w, "no such event", http.StatusBadRequest)
		return
	}
	w.WriteHeader(status)
}

// serveInvoke is Invoke for an emulator.
func (l *Lambda) serveInvoke(w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostPayload))
	if err == nil {
		payload, err = l.Invoke(r.Context(), payload)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		payload = []byte(err.Error())
	}
	_, _ = w.Write(payload)
}
