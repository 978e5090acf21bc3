//! The calls that the npm and PyPI SDKs make.
