"""Fill one photo or many: plan the jobs, run them, report and record the outcomes."""
