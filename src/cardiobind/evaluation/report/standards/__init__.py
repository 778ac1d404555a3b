"""What guidelines for reporting ask for: the TRIPOD+AI checklist and the model card."""
