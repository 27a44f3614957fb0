package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Stages of a request, in their order.
const (
	stageRead   = "read"   // the body
	stageDecode = "decode" // pictures, with waiting for a decoder
	stageQueue  = "queue"  // waiting for a pass
	stageInfer  = "infer"  // the pass, together with the rest of its batch
)

// metrics are what /metrics shows. Names and units follow Prometheus' conventions.
type metrics struct {
	requests  *prometheus.CounterVec   // method, route, code
	duration  *prometheus.HistogramVec // route
	turned    *prometheus.CounterVec   // reason
	pictures  *prometheus.CounterVec   // model
	batches   *prometheus.CounterVec   // model
	batchSize *prometheus.HistogramVec // model
	stages    *prometheus.HistogramVec // stage
	loads     *prometheus.CounterVec   // model
	handler   http.Handler
}

// seconds are the limits of the buckets of a time: 0.1 ms to 26 s, each twice the one before, but one.
var seconds = prometheus.ExponentialBuckets(1e-4, 2, 19)

func newMetrics(s *Server) *metrics {
	registry := prometheus.NewRegistry()
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		registry.MustRegister(h)
		return h
	}
	m := &metrics{
		requests:  counter("bit_requests_total", "Requests answered, by the pattern of their path.", "method", "route", "code"),
		duration:  histogram("bit_request_duration_seconds", "Time from a request's header to the end of its answer.", seconds, "route"),
		turned:    counter("bit_requests_rejected_total", "Requests that were answered 503 for want of room.", "reason"),
		pictures:  counter("bit_images_total", "Pictures that went through a network for a request.", "model"),
		batches:   counter("bit_batches_total", "Passes of a network.", "model"),
		batchSize: histogram("bit_batch_size", "Pictures of a pass.", []float64{1, 2, 4, 8, 16, 32, 64, 128}, "model"),
		stages:    histogram("bit_stage_duration_seconds", "Time of the stages of a request: read, decode, queue, infer.", seconds, "stage"),
		loads:     counter("bit_model_loads_total", "How often a model was loaded.", "model"),
	}
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &gauges{s})
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) answer(w http.ResponseWriter, r *http.Request) error {
	m.handler.ServeHTTP(w, r)
	return nil
}

// stage notes a stage that began at a time and ends now, and returns how long it was.
func (m *metrics) stage(name string, started time.Time) time.Duration {
	d := time.Since(started)
	m.stages.WithLabelValues(name).Observe(d.Seconds())
	return d
}

// pass notes a pass of a network.
func (m *metrics) pass(model string, n int) {
	m.batches.WithLabelValues(model).Inc()
	m.batchSize.WithLabelValues(model).Observe(float64(n))
}

// picture notes a finished picture.
func (m *metrics) picture(model string, t *task) {
	m.pictures.WithLabelValues(model).Inc()
	m.stages.WithLabelValues(stageQueue).Observe(t.waited.Seconds())
	m.stages.WithLabelValues(stageInfer).Observe(t.ran.Seconds())
}

func (m *metrics) loaded(model string) { m.loads.WithLabelValues(model).Inc() }

// request notes an answered request.
func (m *metrics) request(method string, info *requestInfo, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // clients make up words, and each would be a series of its own
	}
	m.requests.WithLabelValues(method, info.route, strconv.Itoa(info.status)).Inc()
	m.duration.WithLabelValues(info.route).Observe(took.Seconds())
	if info.reason != "" {
		m.turned.WithLabelValues(info.reason).Inc()
	}
}

// gauges are read when somebody asks.
type gauges struct{ s *Server }

var (
	descDepth = prometheus.NewDesc("bit_queue_depth", "Pictures that wait for a pass.", []string{"model"}, nil)
	descLimit = prometheus.NewDesc("bit_queue_limit", "Pictures that may be in the server at a time.", nil, nil)
	descReady = prometheus.NewDesc("bit_ready", "1, or 0 while the server comes to its end.", nil, nil)
)

func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	to <- descDepth
	to <- descLimit
	to <- descReady
}

func (g *gauges) Collect(to chan<- prometheus.Metric) {
	for _, m := range g.s.list() {
		to <- prometheus.MustNewConstMetric(descDepth, prometheus.GaugeValue, float64(m.present().depth()), m.name)
	}
	to <- prometheus.MustNewConstMetric(descLimit, prometheus.GaugeValue, float64(g.s.config.Queue))
	ready := 1.0
	if g.s.draining.Load() {
		ready = 0
	}
	to <- prometheus.MustNewConstMetric(descReady, prometheus.GaugeValue, ready)
}
