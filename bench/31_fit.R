# Seconds that R takes for what credit.fit_logistic and credit.fit_scorecard do, rows in memory: reading them is not counted.
# Rscript 31_fit.R FILE: the rows as CSV, kept beside it in R's own form after the first time.
file <- commandArgs(trailingOnly = TRUE)[1]
kept <- paste0(file, ".rds")
if (file.exists(kept)) {
  rows <- readRDS(kept)
} else {
  rows <- read.csv(file)
  rows$bad <- rows$bad == "t"
  saveRDS(rows, kept, compress = FALSE)
}
plain <- system.time(fit <- glm(bad ~ ., binomial, rows, control = glm.control(epsilon = 1e-12)))[["elapsed"]]
card <- system.time({
  woe <- data.frame(lapply(rows[-1], function(x) {
    bin <- cut(x, unique(quantile(x, 0:10 / 10)), include.lowest = TRUE, right = FALSE)
    n <- table(bin, rows$bad)
    log((n[, 2] / sum(n[, 2])) / (n[, 1] / sum(n[, 1])))[as.integer(bin)]
  }))
  woe$bad <- rows$bad
  fit <- glm(bad ~ ., binomial, woe, control = glm.control(epsilon = 1e-12))
})[["elapsed"]]
cat(plain, card, "\n")
