# To be sourced: virtual environments of the programs that read what Snug writes, each made once.

readonly light_packages=(tensorboard==2.21.0 safetensors==0.8.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0)

# make_venv FOLDER PACKAGE…: has exactly these packages, else fails.
make_venv() {
  local folder=$1
  shift
  if [[ $(cat "$folder/ready" 2>/dev/null) == "$*" ]]; then return; fi
  echo "Making the virtual environment $folder …"
  rm -rf "$folder"
  python3 -m venv "$folder" && "$folder/bin/pip" install --quiet "$@" && echo "$*" >"$folder/ready"
}
