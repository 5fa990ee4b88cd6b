package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// charts writes one SVG for each table that has one.
func (r *Results) charts(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, draw := range map[string]func() (*plot.Plot, error){
		"events": r.eventChart, "path": r.pathChart, "churn": r.churnChart, "traffic": r.trafficChart,
	} {
		p, err := draw()
		if err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
		if err := p.Save(20*vg.Centimeter, 10*vg.Centimeter, filepath.Join(dir, name+".svg")); err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
	}
	return nil
}

func newPlot(title, y string, names ...string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text = title, y
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	p.Legend.Top = true
	if len(names) > 0 {
		p.NominalX(names...)
	}
	return p
}

// eventChart has a box for each event and cluster, from which whiskers reach to the extremes.
func (r *Results) eventChart() (*plot.Plot, error) {
	p := newPlot("API call to the first packet judged anew", "ms", shortKinds()...)
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/8, -0.9, -0.4
	width := 0.6 / float64(len(r.Clusters))
	for i, c := range r.Clusters {
		for k, kind := range eventKinds {
			at := float64(k) + width*(float64(i)-float64(len(r.Clusters)-1)/2)
			box, err := plotter.NewBoxPlot(vg.Points(8), at, plotter.Values(figures(c.Events[kind], judged)))
			if err != nil {
				return nil, err
			}
			box.FillColor = plotutil.SoftColors[i]
			p.Add(box)
		}
		p.Legend.Add(c.Size.Name, swatch{plotutil.SoftColors[i]})
	}
	p.Y.Min = 0
	return p, addGoal(p, commonGoal, len(eventKinds), "goal")
}

func shortKinds() []string {
	return []string{"policy closes", "its end opens", "policy opens", "its end closes", "remote pod +", "remote pod −", "local pod +", "local pod −", "live TCP", "live UDP"}
}

// addGoal draws a line at what is hoped for.
func addGoal(p *plot.Plot, at float64, until int, name string) error {
	line, err := plotter.NewLine(plotter.XYs{{X: -0.5, Y: at}, {X: float64(until) - 0.5, Y: at}})
	if err != nil {
		return err
	}
	line.Color = color.RGBA{R: 200, A: 255}
	line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(line)
	p.Legend.Add(name, line)
	return nil
}

// pathChart stacks the parts of the way from the call to the packet.
func (r *Results) pathChart() (*plot.Plot, error) {
	kinds := []string{policyOpens, policyShuts, peerComes, peerGoes, localComes, localGoes}
	var names []string
	told, rest := plotter.Values{}, plotter.Values{}
	for _, c := range r.Clusters {
		for i, kind := range kinds {
			names = append(names, c.Size.Name+": "+[]string{"policy +", "policy −", "remote +", "remote −", "local +", "local −"}[i])
			told = append(told, figures(c.Events[kind], seen).median())
			rest = append(rest, figures(c.Events[kind], func(e Event) float64 { return e.Judged - e.Seen }).median())
		}
	}
	p := newPlot("Where the time goes, medians", "ms", names...)
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/6, -0.9, -0.4
	first, err := plotter.NewBarChart(told, vg.Points(14))
	if err != nil {
		return nil, err
	}
	second, err := plotter.NewBarChart(rest, vg.Points(14))
	if err != nil {
		return nil, err
	}
	first.Color, second.Color = plotutil.SoftColors[0], plotutil.SoftColors[1]
	second.StackOn(first)
	p.Add(first, second)
	p.Legend.Add("API server, until a watch tells", first)
	p.Legend.Add("agent and kernel", second)
	return p, addGoal(p, commonGoal, len(names), "goal of both")
}

// churnChart has the share of events that took no longer than some time.
func (r *Results) churnChart() (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("%d pods a second come and go", podsPerSecond), "share of events")
	p.X.Label.Text, p.Legend.Top = "ms", false
	for i, c := range r.Clusters {
		if c.Churn == nil {
			continue
		}
		all := append(append(samples(c.Churn.Comes), c.Churn.Goes...), c.Churn.Changes...)
		points := plotter.XYs{}
		for percent := range 100 {
			points = append(points, plotter.XY{X: all.quantile(float64(percent) / 100), Y: float64(percent) / 100})
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = plotutil.SoftColors[i], vg.Points(2)
		p.Add(line)
		p.Legend.Add(c.Size.Name, line)
	}
	p.X.Min = 0
	return p, nil
}

// trafficChart compares with no rules, with bars from the lower to the upper quarter.
func (r *Results) trafficChart() (*plot.Plot, error) {
	var names []string
	for _, t := range r.Traffic {
		names = append(names, t.Rules)
	}
	p := newPlot("For the same processor time, against no rules", "ratio", names...)
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/10, -0.9, -0.4
	bare := r.trafficOf(noRules)
	for i, figure := range []struct {
		name string
		of   func(*Traffic) samples
	}{
		{"new TCP connections", func(t *Traffic) samples { return t.ConnectionCPU }},
		{"TCP bytes", func(t *Traffic) samples { return t.ThroughputCPU }},
		{"UDP packets", func(t *Traffic) samples { return t.DatagramCPU }},
	} {
		values := plotter.Values{}
		for _, t := range r.Traffic {
			values = append(values, figure.of(bare).against(figure.of(t)).median())
		}
		if len(values) == 0 {
			continue
		}
		bars, err := plotter.NewBarChart(values, vg.Points(12))
		if err != nil {
			return nil, err
		}
		bars.Color, bars.Offset = plotutil.SoftColors[i], vg.Points(13*float64(i-1))
		p.Add(bars)
		p.Legend.Add(figure.name, bars)
	}
	p.Y.Min, p.Y.Max = 0, 1.4
	return p, nil
}
