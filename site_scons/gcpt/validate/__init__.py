"""Static checks that predict whether a checkpoint would restore, and the findings they report."""
