package main

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
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
		if err := save(p, filepath.Join(dir, name+".svg")); err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
	}
	return nil
}

// save leaves a margin, which plot.Save does not.
func save(p *plot.Plot, file string) error {
	const width, height, margin = 22 * vg.Centimeter, 11 * vg.Centimeter, 4 * vg.Millimeter
	canvas := vgsvg.New(width, height)
	p.Draw(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = canvas.WriteTo(f)
	return errors.Join(err, f.Close())
}

func newPlot(title, y string, names ...string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text = title, y
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	p.Legend.Top, p.Legend.Padding = true, vg.Points(2)
	p.Title.Padding = vg.Points(6)
	if len(names) > 0 {
		p.NominalX(names...)
		p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
	}
	return p
}

// eventChart has a box for each event and cluster, from which whiskers reach to the extremes.
func (r *Results) eventChart() (*plot.Plot, error) {
	p := newPlot("API call to the first packet judged anew", "ms", shortKinds()...)
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/8, -1, -0.8
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
	if err := addGoal(p, eventGoal, len(eventKinds), "goal"); err != nil {
		return nil, err
	}
	// Above the boxes, for the legend; what lies far off is cut.
	p.Y.Min, p.Y.Max = 0, 1.6*r.highest(0.75)
	return p, nil
}

// highest is that of a quantile of all events.
func (r *Results) highest(share float64) float64 {
	most := eventGoal
	for _, c := range r.Clusters {
		for _, events := range c.Events {
			most = max(most, figures(events, judged).quantile(share))
		}
	}
	return most
}

func shortKinds() []string {
	return []string{"policy closes", "its end opens", "policy opens", "its end closes", "remote pod +", "remote pod −", "local pod +", "local pod −", "live TCP", "live UDP"}
}

// addGoal draws a line at what is hoped for.
func addGoal(p *plot.Plot, at float64, until int, name string) error {
	return addLine(p, plotter.XYs{{X: -0.5, Y: at}, {X: float64(until) - 0.5, Y: at}}, name)
}

func addLine(p *plot.Plot, points plotter.XYs, name string) error {
	line, err := plotter.NewLine(points)
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
			rest = append(rest, max(0, figures(c.Events[kind], afterWatch).median()))
		}
	}
	p := newPlot("Where the time goes, medians", "ms", names...)
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/6, -1, -0.8
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
	if err := addGoal(p, eventGoal, len(names), "goal of both"); err != nil {
		return nil, err
	}
	p.Y.Min, p.Y.Max = 0, 1.5*r.highest(0.5)
	return p, nil
}

// churnChart has the share of events that took no longer than some time.
func (r *Results) churnChart() (*plot.Plot, error) {
	p := newPlot(fmt.Sprintf("%d pods a second come and go", podsPerSecond), "share of events")
	p.X.Label.Text, p.Legend.Top, p.Legend.XOffs = "ms", false, -3*vg.Centimeter
	for i, c := range r.Clusters {
		if c.Churn == nil {
			continue
		}
		all := figures(c.Churn.all(), judged)
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
	if err := addLine(p, plotter.XYs{{X: churnGoal, Y: 0}, {X: churnGoal, Y: 1}}, "goal of p99"); err != nil {
		return nil, err
	}
	p.X.Min, p.Y.Max = 0, 1
	return p, nil
}

// trafficChart compares with no rules, with bars from the lower to the upper quarter.
func (r *Results) trafficChart() (*plot.Plot, error) {
	var names []string
	for _, t := range r.Traffic {
		names = append(names, t.Rules)
	}
	p := newPlot("For the same processor time, against no rules", "ratio", names...)
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/10, -1, -0.8
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
