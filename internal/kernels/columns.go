package kernels

// ColumnMoments takes the two sums that give the mean and the variance of each column without cancellation, because
// they are of the distances from the column's own first value p = x[0][j]:
//
//	sum[j] = Σ_r (x[r][j] - p),  sumSq[j] = Σ_r (x[r][j] - p)²
func ColumnMoments(x []float32, xRow, rows, cols int, sum, sumSq []float32) {
	checkVector("sum", sum, cols)
	checkVector("sumSq", sumSq, cols)
	if rows == 0 || cols == 0 {
		clear(sum[:cols])
		clear(sumSq[:cols])
		return
	}
	check("x", x, xRow, rows, cols)
	columnMoments(x, xRow, rows, cols, sum, sumSq)
}

func columnMomentsGeneric(x []float32, xRow, rows, cols int, sum, sumSq []float32) {
	clear(sum[:cols])
	clear(sumSq[:cols])
	pivot := x[:cols]
	for r := range rows {
		for j, v := range x[r*xRow:][:cols] {
			d := v - pivot[j]
			sum[j] += d
			sumSq[j] += d * d
		}
	}
}

// ColumnGrads passes a gradient back through ReLU, in place, and takes the two sums that the gradient of the
// normalisation before it needs:
//
//	dy[r][j] = 0 where x[r][j]·scale[j] + shift[j] <= 0
//	sum[j] = Σ_r dy[r][j],  sumX[j] = Σ_r dy[r][j]·(x[r][j] - centre[j])
func ColumnGrads(dy []float32, dyRow int, x []float32, xRow, rows, cols int, scale, shift, centre, sum, sumX []float32) {
	for _, v := range [][]float32{scale, shift, centre, sum, sumX} {
		checkVector("a column vector", v, cols)
	}
	if rows == 0 || cols == 0 {
		clear(sum[:cols])
		clear(sumX[:cols])
		return
	}
	check("dy", dy, dyRow, rows, cols)
	check("x", x, xRow, rows, cols)
	columnGrads(dy, dyRow, x, xRow, rows, cols, scale, shift, centre, sum, sumX)
}

func columnGradsGeneric(dy []float32, dyRow int, x []float32, xRow, rows, cols int, scale, shift, centre, sum, sumX []float32) {
	clear(sum[:cols])
	clear(sumX[:cols])
	for r := range rows {
		d, xs := dy[r*dyRow:][:cols], x[r*xRow:][:cols]
		for j, v := range xs {
			if v*scale[j]+shift[j] <= 0 {
				d[j] = 0
			}
			sum[j] += d[j]
			sumX[j] += d[j] * (v - centre[j])
		}
	}
}
