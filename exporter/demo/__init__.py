"""A demonstration without a platform: fakes with work to report, for trying the exporter out."""
